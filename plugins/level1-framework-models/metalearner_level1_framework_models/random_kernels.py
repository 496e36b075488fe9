"""Random convolutions of series and of images, each pooled to a fixed number of features. Torch inside functions only.

Series follow MiniRocket (Dempster et al. 2021) and MultiRocket (Tan et al. 2022): fixed kernels of length 9
with weights -1 and 2 at many dilations, over random sets of channels and of their differences, pooled to
the share of steps above a threshold and the mean excess over it. Images follow Coates and Ng (2012):
patches drawn from the whitened training images serve as filters, pooled over the quarters and the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import combinations
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import torch

LENGTH, KERNELS, GROUPS = 9, 84, 12  # 84 ways to choose 3 of 9 positions; 12 sets of channels a dilation
LONGEST, WIDEST = 2048, 64  # steps, pixels a side; more are averaged down
DILATIONS = 12
LEVELS = 0.2
SAMPLE = 48  # rows that thresholds are taken from
PATCHES = 20_000
REGIONS = 5  # four quarters and the whole


class Kernels:
    """What both kinds share: they are dataclasses of arrays, stored as such."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything by name, to be stored."""
        return {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """What `arrays` gave."""
        return cls(**{f.name: arrays[f.name] for f in fields(cls)})  # type: ignore[arg-type]


@dataclass(frozen=True)
class SeriesKernels(Kernels):
    """Kernels for series (n, T, C): per dilation, sets of channels, the order of the kernels, thresholds."""

    mean: np.ndarray  # (C,)
    scale: np.ndarray  # (2 C,) of the channels and of their differences
    dilations: np.ndarray  # (D,)
    sets: np.ndarray  # (D, groups, 2 C) 0 or 1
    order: np.ndarray  # (D, 84)
    levels: np.ndarray  # (D,) thresholds a kernel has
    thresholds: np.ndarray  # (84, sum of levels)
    flags: np.ndarray  # share pooled, mean pooled, each series normalised by itself

    @classmethod
    def fit(
        cls, values: np.ndarray, mask: np.ndarray | None, numbers: Mapping[str, Any], rng: np.random.Generator
    ) -> Self:
        """Draw kernels, and thresholds from some of these series."""
        import torch

        rows = np.sort(rng.permutation(len(values))[:SAMPLE])
        values, mask = values[rows], None if mask is None else mask[rows]
        channels = values.shape[2]
        known = ~np.isnan(values) if mask is None else mask[:, :, None] & ~np.isnan(values)
        mean, spread = _moments(values, known)
        flags = _flags(numbers)
        each = max(1, round(numbers["features"] / (KERNELS * flags[:2].sum())))
        length = float(np.median(known.any(axis=2).sum(axis=1))) / -(-values.shape[1] // LONGEST)
        farthest = np.log2(max(1.0, (length - 1) / (LENGTH - 1)))
        dilations = np.unique(np.floor(2 ** np.linspace(0, farthest, min(each, DILATIONS))).astype(np.int64))
        levels = np.full(len(dilations), each // len(dilations))
        levels[: each % len(dilations)] += 1
        sets = np.stack([_channel_sets(channels, rng) for _ in dilations])
        order = np.stack([rng.permutation(KERNELS) for _ in dilations])
        draft = (mean, np.tile(spread, 2), dilations, sets, order, levels, np.zeros((KERNELS, levels.sum())), flags)
        found = cls(*draft)
        with torch.inference_mode():
            inputs, weights = found._inputs(values, mask)
            change = inputs[:, channels:]
            scale = np.concatenate([spread, spread * np.maximum(change.std((0, 2), correction=0).numpy(), 1e-3)])
            found = cls(mean, scale, *draft[2:])
            inputs, weights = found._inputs(values, mask)
            valid = np.flatnonzero(weights.numpy().ravel() > 0)
            valid = valid[:: max(1, len(valid) // 4096)] if len(valid) else np.zeros(1, np.int64)
            thresholds = []
            for i in range(len(dilations)):
                outputs = found._convolve(inputs, i).transpose(0, 1).reshape(KERNELS, -1).numpy()[:, valid]
                thresholds.append(_quantiles(outputs, int(levels[i]), rng))
        return cls(mean, scale, *draft[2:6], np.concatenate(thresholds, axis=1).astype(np.float32), flags)

    @property
    def size(self) -> int:
        """Features a row gets."""
        return int(self.thresholds.size * self.flags[:2].sum()) + 4 * len(self.mean)

    @property
    def emphasis(self) -> np.ndarray:
        """Weights (size,) of the features: the few levels together count for a share of all, LEVELS."""
        found = np.ones(self.size)
        found[-4 * len(self.mean) :] = np.sqrt(max(1.0, LEVELS * self.size / (4 * len(self.mean))))
        return found

    def cells(self, values: np.ndarray) -> int:
        """Numbers one row grows to inside, by which batches are sized."""
        return KERNELS * min(values.shape[1], LONGEST)

    def features(self, values: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        """(n, T, C) -> float32 (n, size)."""
        import torch

        with torch.inference_mode():
            inputs, weights = self._inputs(values, mask)
            edges = np.concatenate([[0], np.cumsum(self.levels)])
            pooled = []
            for i in range(len(self.dilations)):
                thresholds = torch.from_numpy(self.thresholds[:, edges[i] : edges[i + 1]].copy())
                pooled += _pool(self._convolve(inputs, i), thresholds, weights, self.flags)
            return torch.cat([*pooled, self._levels(inputs, weights)], dim=1).numpy()

    def _levels(self, inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Mean, spread and extremes of each channel, which kernels that sum to 0 do not see: (n, 4 C)."""
        import torch

        x, valid = inputs[:, : len(self.mean)], weights.transpose(1, 2) > 0
        mean = x @ weights
        spread = ((x - mean) ** 2 @ weights).sqrt()
        low, high = torch.where(valid, x, torch.inf).amin(2), torch.where(valid, x, -torch.inf).amax(2)
        some = valid.any(2)
        return torch.cat([mean[..., 0], spread[..., 0], torch.where(some, low, 0.0), torch.where(some, high, 0.0)], dim=1)

    def _inputs(self, values: np.ndarray, mask: np.ndarray | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Channels and differences (n, 2 C, T), 0 where unknown; weights (n, T, 1) that average over valid steps."""
        import torch

        x = (torch.from_numpy(np.ascontiguousarray(values, np.float32)) - torch.from_numpy(self.mean)).transpose(1, 2)
        x = x / torch.from_numpy(self.scale[: len(self.mean)])[:, None]
        valid = torch.ones(x.shape[0], 1, x.shape[2]) if mask is None else torch.from_numpy(mask)[:, None].float()
        known = ~torch.isnan(x) & (valid > 0)
        x = torch.where(known, x, 0.0)
        factor = -(-x.shape[2] // LONGEST)
        if factor > 1:
            share = torch.nn.functional.avg_pool1d(known.float(), factor, ceil_mode=True)
            x = torch.nn.functional.avg_pool1d(x, factor, ceil_mode=True) / share.clamp(min=1e-6)
            known, valid = share > 0, torch.nn.functional.max_pool1d(valid, factor, ceil_mode=True)
        if self.flags[2]:
            count = known.sum(2, keepdim=True).clamp(min=1)
            x = torch.where(known, x - x.sum(2, keepdim=True) / count, 0.0)
            x = x / ((x**2).sum(2, keepdim=True) / count).sqrt().clamp(min=1e-3)
        change = torch.diff(x, dim=2, prepend=x[:, :, :1])
        change = torch.where(known & torch.roll(known, 1, 2), change, 0.0)
        change = change / torch.from_numpy(self.scale[len(self.mean) :] / self.scale[: len(self.mean)])[:, None]
        weights = valid / valid.sum(2, keepdim=True).clamp(min=1)
        return torch.cat([x, change], dim=1), weights.transpose(1, 2)

    def _convolve(self, inputs: torch.Tensor, i: int) -> torch.Tensor:
        """(n, 2 C, T) -> (n, 84, T): each group of kernels on the sum of its set of channels."""
        import torch

        dilation, sets = int(self.dilations[i]), torch.from_numpy(self.sets[i])
        summed = torch.einsum("gc,nct->ngt", sets / sets.sum(1, keepdim=True).sqrt(), inputs)
        weight = torch.from_numpy(_kernels()[self.order[i]])[:, None]
        padding = dilation * (LENGTH // 2)
        return torch.nn.functional.conv1d(summed, weight, None, 1, padding, dilation, groups=len(sets))


@dataclass(frozen=True)
class PatchKernels(Kernels):
    """Filters for images (n, H, W, C): whitened patches of the training images, a threshold each."""

    mean: np.ndarray  # (C,)
    scale: np.ndarray  # (C,)
    filters: np.ndarray  # (f, C, s, s), the whitening folded in
    offset: np.ndarray  # (f,) what the mean patch gives
    thresholds: np.ndarray  # (f, 1)
    flags: np.ndarray  # share pooled, mean pooled, each patch normalised by itself

    @classmethod
    def fit(
        cls, values: np.ndarray, mask: np.ndarray | None, numbers: Mapping[str, Any], rng: np.random.Generator
    ) -> Self:
        """Draw patches, whiten them, take some as filters."""
        import torch

        rows = np.sort(rng.permutation(len(values))[: 8 * SAMPLE])
        mean, scale = _moments(values[rows], ~np.isnan(values[rows]))
        flags = _flags(numbers)
        draft = cls(mean, scale, np.zeros((0, values.shape[3], 1, 1)), np.zeros(0), np.zeros((0, 1)), flags)
        with torch.inference_mode():
            inputs = draft._inputs(values[rows])
            side = int(np.clip(min(inputs.shape[2:]) // 4, min(3, *inputs.shape[2:]), 6))
            patches = _patches(inputs.numpy(), side, rng)
            if flags[2]:
                patches = patches - patches.mean(axis=1, keepdims=True)
                patches /= np.sqrt((patches**2).mean(axis=1, keepdims=True) + 0.1)
            centre = patches.mean(axis=0)
            values_, vectors = np.linalg.eigh(np.cov(patches.T) + 1e-9 * np.eye(patches.shape[1]))
            whiten = (vectors / np.sqrt(np.maximum(values_, 0) + 0.1 * values_.mean())) @ vectors.T
            count = max(1, round(numbers["features"] / (REGIONS * flags[:2].sum())))
            drawn = (patches[rng.integers(0, len(patches), count)] - centre) @ whiten
            drawn /= np.linalg.norm(drawn, axis=1, keepdims=True) + 1e-6
            filters = drawn @ whiten
            shape = (count, values.shape[3], side, side)
            found = cls(mean, scale, filters.reshape(shape).astype(np.float32), (filters @ centre).astype(np.float32), draft.thresholds, flags)
            some = found._convolve(inputs[:SAMPLE])
            outputs = some.transpose(0, 1).reshape(count, -1)[:, :: max(1, some[:, 0].numel() // 4096)].numpy()
        return cls(mean, scale, found.filters, found.offset, _quantiles(outputs, 1, rng, LOW_PATCH, HIGH_PATCH), flags)

    @property
    def size(self) -> int:
        """Features a row gets."""
        return int(len(self.filters) * REGIONS * self.flags[:2].sum())

    @property
    def emphasis(self) -> np.ndarray:
        """Weights (size,) of the features: all the same."""
        return np.ones(self.size)

    def cells(self, values: np.ndarray) -> int:
        """Numbers one row grows to inside, by which batches are sized."""
        return len(self.filters) * min(values.shape[1], WIDEST) * min(values.shape[2], WIDEST)

    def features(self, values: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """(n, H, W, C) -> float32 (n, size)."""
        import torch

        with torch.inference_mode():
            outputs = self._convolve(self._inputs(values))  # (n, f, h, w)
            weights = _regions(*outputs.shape[2:]).expand(len(values), -1, -1)
            flat = outputs.reshape(len(values), len(self.filters), -1)
            return torch.cat(_pool(flat, torch.from_numpy(self.thresholds), weights, self.flags), dim=1).numpy()

    def _inputs(self, values: np.ndarray) -> torch.Tensor:
        """(n, H, W, C) -> (n, C, h, w), centred, scaled, at most WIDEST a side."""
        import torch

        x = (torch.from_numpy(np.ascontiguousarray(values, np.float32)) - torch.from_numpy(self.mean)) / torch.from_numpy(self.scale)
        x = torch.nan_to_num(x, nan=0.0).permute(0, 3, 1, 2)
        factor = tuple(-(-s // WIDEST) for s in x.shape[2:])
        return torch.nn.functional.avg_pool2d(x, factor, ceil_mode=True) if max(factor) > 1 else x

    def _convolve(self, x: torch.Tensor) -> torch.Tensor:
        """(n, C, h, w) -> (n, f, h', w'): whitened patches against each filter."""
        import torch

        filters = torch.from_numpy(self.filters)
        found = torch.nn.functional.conv2d(x, filters)
        if self.flags[2]:
            side = filters.shape[2]
            mean = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), side, 1)
            square = torch.nn.functional.avg_pool2d((x**2).mean(1, keepdim=True), side, 1)
            spread = ((square - mean**2).clamp(min=0) + 0.1).sqrt()
            found = (found - mean * filters.sum((1, 2, 3))[:, None, None]) / spread
        return found - torch.from_numpy(self.offset)[:, None, None]


LOW_PATCH, HIGH_PATCH = 0.5, 0.95


def _pool(outputs: torch.Tensor, thresholds: torch.Tensor, weights: torch.Tensor, flags: np.ndarray) -> list[torch.Tensor]:
    """(n, k, positions), (k, q), (n, positions, regions) -> pooled (n, k * regions) for each threshold and pooling.

    Comparing into a float buffer and averaging by a matrix product is several times faster than `.mean()`
    of a comparison, and takes masks and regions for free.
    """
    import torch

    found, buffer = [], torch.empty_like(outputs)
    for q in range(thresholds.shape[1]):
        level = thresholds[:, q, None]
        if flags[0]:
            torch.gt(outputs, level, out=buffer)
            found.append((buffer @ weights).flatten(1))
        if flags[1]:
            torch.sub(outputs, level, out=buffer)
            found.append((buffer.relu_() @ weights).flatten(1).sqrt())
    return found


def _kernels() -> np.ndarray:
    """The 84 kernels (84, 9): -1 everywhere but 2 at three positions, so that they sum to 0."""
    found = np.full((KERNELS, LENGTH), -1, np.float32)
    for row, chosen in zip(found, combinations(range(LENGTH), 3)):
        row[list(chosen)] = 2
    return found


def _channel_sets(channels: int, rng: np.random.Generator) -> np.ndarray:
    """GROUPS random sets of channels, half of the channels themselves, half of their differences: (groups, 2 C)."""
    found = np.zeros((GROUPS, 2 * channels), np.float32)
    for i, row in enumerate(found):
        size = int(2 ** rng.uniform(0, np.log2(min(channels, LENGTH) + 1)))
        row[rng.permutation(channels)[:size] + channels * (i % 2)] = 1
    return found


def _quantiles(outputs: np.ndarray, count: int, rng: np.random.Generator, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """`count` thresholds for each row of outputs (k, m), at evenly spread random quantiles between low and high.

    They are moved off the values themselves, lest rounding decide on which side of it a value falls.
    """
    ordered = np.sort(outputs, axis=1)
    golden = (rng.random() + 0.618034 * np.arange(outputs.shape[0] * count)) % 1
    at = ((low + (high - low) * golden) * (outputs.shape[1] - 1)).astype(np.int64).reshape(outputs.shape[0], count)
    return (np.take_along_axis(ordered, at, axis=1) + 1e-3 * (outputs.std() + 1e-6)).astype(np.float32)


def _moments(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel (the last axis) where known, float32."""
    axes = tuple(range(values.ndim - 1))
    count = np.maximum(known.sum(axis=axes), 1)
    mean = np.where(known, values, 0).sum(axis=axes, dtype=np.float64) / count
    spread = np.sqrt((np.where(known, values - mean, 0) ** 2).sum(axis=axes, dtype=np.float64) / count)
    return mean.astype(np.float32), np.where(spread > 1e-6, spread, 1).astype(np.float32)


def _flags(numbers: Mapping[str, Any]) -> np.ndarray:
    """Whether to pool to shares, to means, and to normalise each row by itself."""
    pooling = numbers["pooling"]
    return np.array([pooling != "mean", pooling != "proportion", numbers["normalise"]], np.int64)


def _patches(inputs: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Random patches of (n, C, h, w): (PATCHES, C * side * side), float64."""
    windows = np.lib.stride_tricks.sliding_window_view(inputs, (side, side), axis=(2, 3))  # (n, C, h', w', s, s)
    n, _, h, w = windows.shape[:4]
    image, top, left = (rng.integers(0, m, PATCHES) for m in (n, h, w))
    return windows[image, :, top, left].reshape(PATCHES, -1).astype(np.float64)


def _regions(height: int, width: int) -> torch.Tensor:
    """Weights (height * width, 5) that average over each quarter, then over everything."""
    import torch

    found = torch.zeros(REGIONS, height, width)
    for i in range(4):
        top, left = divmod(i, 2)
        rows = slice(height // 2, None) if top else slice(0, (height + 1) // 2)
        found[i, rows, slice(width // 2, None) if left else slice(0, (width + 1) // 2)] = 1
    found[4] = 1
    return (found / found.sum((1, 2), keepdim=True)).reshape(REGIONS, -1).T
