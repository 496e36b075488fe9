"""Random patches of images as filters, after Coates, Lee and Ng (2011) and Coates and Ng (2012).

Patches drawn from the training images are whitened; what an image's own whitened patches have in common
with each is pooled over the whole image, its quarters and its ninths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .random_kernels import LOOKED_AT, Kernels, moments, pool, quantiles, read_flags

if TYPE_CHECKING:
    import torch

WIDEST = 64  # pixels a side; larger images are averaged down
PATCHES = 20_000
CONTRAST = 0.1  # variance added before a patch is divided by its own, so that flat ones stay flat
QUANTILES = (0.5, 0.95)  # of a filter's answers, between which its threshold lies
GRIDS = (1, 2, 3)  # images are pooled over the whole, its quarters and its ninths
REGIONS = sum(g * g for g in GRIDS)


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

        mean, scale = moments(values, ~np.isnan(values))
        flags, nothing = read_flags(numbers), np.zeros(0, np.float32)
        draft = cls(mean, scale, nothing, nothing, nothing, flags)
        count = max(1, round(numbers["features"] / (REGIONS * flags[:2].sum())))
        with torch.inference_mode():
            inputs = draft._inputs(values)
            side = int(np.clip(min(inputs.shape[2:]) // 4, min(3, *inputs.shape[2:]), 6))
            patches = _patches(inputs.numpy(), side, rng)
            if flags[2]:
                patches -= patches.mean(axis=1, keepdims=True)
                patches /= np.sqrt((patches**2).mean(axis=1, keepdims=True) + CONTRAST)
            centre, whiten = _whitening(patches)
            drawn = (patches[rng.integers(0, len(patches), count)] - centre) @ whiten
            filters = drawn / (np.linalg.norm(drawn, axis=1, keepdims=True) + 1e-6) @ whiten
            square = filters.reshape(count, -1, side, side).astype(np.float32)
            draft = replace(draft, filters=square, offset=(filters @ centre).astype(np.float32))
            few = max(4, 4 * LOOKED_AT // inputs[0, 0].numel())
            outputs = draft._convolve(inputs[:few]).transpose(0, 1).reshape(count, -1)
            outputs = outputs[:, :: max(1, outputs.shape[1] // LOOKED_AT)]
        return replace(draft, thresholds=quantiles(outputs.numpy(), 1, rng, *QUANTILES))

    @classmethod
    def rows_to_see(cls, values: np.ndarray) -> int:
        """Enough for the patches, fewer of large ones."""
        return int(np.clip(2e6 / values[0].size, 16, 384))

    @property
    def size(self) -> int:
        """Features a row gets."""
        return int(len(self.filters) * REGIONS * self.flags[:2].sum())

    def cells(self, values: np.ndarray) -> int:
        """Numbers one row grows to inside, by which batches are sized."""
        return len(self.filters) * min(values.shape[1], WIDEST) * min(values.shape[2], WIDEST)

    def features(self, values: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        """(n, H, W, C) -> float32 (n, size)."""
        import torch

        with torch.inference_mode():
            outputs = self._convolve(self._inputs(values))  # (n, f, h', w')
            weights = _regions(*outputs.shape[2:]).expand(len(values), -1, -1)
            return torch.cat(
                pool(outputs.flatten(2), torch.tensor(self.thresholds), weights, self.flags), dim=1
            ).numpy()

    def _inputs(self, values: np.ndarray) -> torch.Tensor:
        """(n, H, W, C) -> (n, C, h, w), centred, scaled, at most WIDEST a side."""
        import torch

        x = torch.nan_to_num(torch.from_numpy((values - self.mean) / self.scale), nan=0.0).permute(0, 3, 1, 2)
        factor = tuple(-(-s // WIDEST) for s in x.shape[2:])
        return torch.nn.functional.avg_pool2d(x, factor, ceil_mode=True) if max(factor) > 1 else x.contiguous()

    def _convolve(self, x: torch.Tensor) -> torch.Tensor:
        """(n, C, h, w) -> (n, f, h', w'): whitened patches against each filter."""
        import torch

        filters = torch.tensor(self.filters)
        found = torch.nn.functional.conv2d(x, filters)
        if self.flags[2]:
            side = filters.shape[2]
            mean = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), side, 1)
            square = torch.nn.functional.avg_pool2d((x**2).mean(1, keepdim=True), side, 1)
            spread = ((square - mean**2).clamp(min=0) + CONTRAST).sqrt()
            found = (found - mean * filters.sum((1, 2, 3))[:, None, None]) / spread
        return found - torch.tensor(self.offset)[:, None, None]


def _whitening(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean patch and the matrix that makes all directions vary alike (ZCA), held back where they hardly do."""
    values, vectors = np.linalg.eigh(np.cov(patches.T).reshape(patches.shape[1], -1))
    lengths = np.sqrt(np.maximum(values, 0) + 0.1 * max(float(values.mean()), 1e-6))
    return patches.mean(axis=0), (vectors / lengths) @ vectors.T


def _patches(inputs: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Random patches of (n, C, h, w): (PATCHES, C * side * side), float64."""
    windows = np.lib.stride_tricks.sliding_window_view(inputs, (side, side), axis=(2, 3))  # (n, C, h', w', s, s)
    n, _, h, w = windows.shape[:4]
    image, top, left = (rng.integers(0, m, PATCHES) for m in (n, h, w))
    return windows[image, :, top, left].reshape(PATCHES, -1).astype(np.float64)


def _regions(height: int, width: int) -> torch.Tensor:
    """Weights (height * width, REGIONS) that average over each cell of each grid."""
    import torch

    cells = [(grid, i, j) for grid in GRIDS for i in range(grid) for j in range(grid)]
    found = torch.zeros(REGIONS, height, width)
    for region, (grid, i, j) in zip(found, cells):
        rows = slice(height * i // grid, -(-height * (i + 1) // grid))
        region[rows, width * j // grid : -(-width * (j + 1) // grid)] = 1
    return (found / found.sum((1, 2), keepdim=True)).reshape(REGIONS, -1).T
