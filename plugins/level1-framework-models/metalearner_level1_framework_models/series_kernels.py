"""Random convolutions of series, after MiniRocket (Dempster et al. 2021) and MultiRocket (Tan et al. 2022).

Fixed kernels of length 9 with weights -1 and 2 at many dilations, over random sets of channels and of
their differences, pooled to the share of valid steps above a threshold and to the mean excess over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .random_kernels import LOOKED_AT, Kernels, moments, pool, quantiles, read_flags

if TYPE_CHECKING:
    import torch

LENGTH, KERNELS, GROUPS = 9, 84, 12  # 84 ways to choose 3 of 9 positions; 12 sets of channels a dilation
LONGEST = 2048  # steps; more are averaged down
DILATIONS = 12
LEVELS = 0.2  # share of all features that mean, spread and extremes of the channels count for


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
        """Draw kernels, and thresholds from what they answer to these series."""
        import torch

        channels = values.shape[2]
        known = ~np.isnan(values) if mask is None else mask[:, :, None] & ~np.isnan(values)
        mean, spread = moments(values, known)
        flags = read_flags(numbers)
        each = max(1, round(numbers["features"] / (KERNELS * flags[:2].sum())))
        length = float(np.median(known.any(axis=2).sum(axis=1))) / -(-values.shape[1] // LONGEST)
        farthest = np.log2(max(1.0, (length - 1) / (LENGTH - 1)))
        dilations = np.unique(np.floor(2 ** np.linspace(0, farthest, min(each, DILATIONS))).astype(np.int64))
        levels = np.full(len(dilations), each // len(dilations))
        levels[: each % len(dilations)] += 1
        sets = np.stack([_channel_sets(channels, rng) for _ in dilations])
        order = np.stack([rng.permutation(KERNELS) for _ in dilations])
        none = np.zeros((KERNELS, 0), np.float32)
        draft = cls(mean, np.tile(spread, 2), dilations, sets, order, levels, none, flags)
        with torch.inference_mode():
            change = draft._inputs(values, mask)[0][:, channels:].std((0, 2), correction=0).numpy()
            draft = replace(draft, scale=np.concatenate([spread, spread * np.maximum(change, 1e-3)]))
            inputs, weights = draft._inputs(values, mask)
            valid = np.flatnonzero(weights.numpy().ravel() > 0)
            valid = valid[:: max(1, len(valid) // LOOKED_AT)] if len(valid) else np.zeros(1, np.int64)
            found = []
            for i, count in enumerate(levels):
                outputs = draft._convolve(inputs, i).transpose(0, 1).reshape(KERNELS, -1).numpy()[:, valid]
                found.append(quantiles(outputs, int(count), rng))
        return replace(draft, thresholds=np.concatenate(found, axis=1))

    @classmethod
    def rows_to_see(cls, values: np.ndarray) -> int:
        """Fewer of long ones."""
        return int(np.clip(4 * LOOKED_AT / values.shape[1], 8, 48))

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
                thresholds = torch.tensor(self.thresholds[:, edges[i] : edges[i + 1]])
                pooled += pool(self._convolve(inputs, i), thresholds, weights, self.flags)
            return torch.cat([*pooled, self._levels(inputs, weights)], dim=1).numpy()

    def _levels(self, inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Mean, spread and extremes of each channel, which kernels that sum to 0 do not see: (n, 4 C)."""
        import torch

        x, valid = inputs[:, : len(self.mean)], weights.transpose(1, 2) > 0
        mean = x @ weights
        spread = ((x - mean) ** 2 @ weights).sqrt()
        low, high = torch.where(valid, x, torch.inf).amin(2), torch.where(valid, x, -torch.inf).amax(2)
        extremes = [torch.where(valid.any(2), found, 0.0) for found in (low, high)]
        return torch.cat([mean[..., 0], spread[..., 0], *extremes], dim=1)

    def _inputs(self, values: np.ndarray, mask: np.ndarray | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Channels and differences (n, 2 C, T), 0 where unknown; weights (n, T, 1) that average over valid steps."""
        import torch

        channels = len(self.mean)
        x = torch.from_numpy((values - self.mean) / self.scale[:channels]).transpose(1, 2)
        valid = torch.ones(x.shape[0], 1, x.shape[2]) if mask is None else torch.tensor(mask)[:, None].float()
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
        change = change / torch.tensor(self.scale[channels:] / self.scale[:channels])[:, None]
        weights = valid / valid.sum(2, keepdim=True).clamp(min=1)
        return torch.cat([x, change], dim=1), weights.transpose(1, 2)

    def _convolve(self, inputs: torch.Tensor, i: int) -> torch.Tensor:
        """(n, 2 C, T) -> (n, 84, T): each group of kernels on the sum of its set of channels."""
        import torch

        dilation, sets = int(self.dilations[i]), torch.tensor(self.sets[i])
        summed = torch.einsum("gc,nct->ngt", sets / sets.sum(1, keepdim=True).sqrt(), inputs)
        weight = torch.from_numpy(_kernels()[self.order[i]])[:, None]
        padding = dilation * (LENGTH // 2)
        return torch.nn.functional.conv1d(summed, weight, None, 1, padding, dilation, groups=len(sets))


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
