"""Features from random convolutions: what those of series and of images share. Torch inside functions only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import torch

LOOKED_AT = 4096  # answers of a kernel that its thresholds are quantiles of


class Kernels(ABC):
    """Filters with their thresholds; the subclasses are frozen dataclasses of arrays and are stored as such."""

    @classmethod
    @abstractmethod
    def fit(
        cls, values: np.ndarray, mask: np.ndarray | None, numbers: Mapping[str, Any], rng: np.random.Generator
    ) -> Self:
        """Draw kernels for rows like these, and thresholds from some of them."""

    @classmethod
    @abstractmethod
    def rows_to_see(cls, values: np.ndarray) -> int:
        """How many rows like these `fit` has a use for."""

    @abstractmethod
    def features(self, values: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        """(n, axes..., channels) -> float32 (n, size)."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Features a row gets."""

    @abstractmethod
    def cells(self, values: np.ndarray) -> int:
        """Numbers one row grows to inside, by which batches are sized."""

    @property
    def emphasis(self) -> np.ndarray:
        """Weights (size,) of the features in the ridge."""
        return np.ones(self.size)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything by name, to be stored."""
        return {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """What `arrays` gave."""
        return cls(**{f.name: arrays[f.name] for f in fields(cls)})  # type: ignore[arg-type]


def pool(
    outputs: torch.Tensor, thresholds: torch.Tensor, weights: torch.Tensor, flags: np.ndarray
) -> list[torch.Tensor]:
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


def quantiles(
    outputs: np.ndarray, count: int, rng: np.random.Generator, low: float = 0.0, high: float = 1.0
) -> np.ndarray:
    """`count` thresholds for each row of outputs (k, m), at evenly spread random quantiles between low and high.

    They are moved off the values themselves, lest rounding decide on which side of it a value falls.
    """
    ordered = np.sort(outputs, axis=1)
    golden = (rng.random() + 0.618034 * np.arange(outputs.shape[0] * count)) % 1
    at = ((low + (high - low) * golden) * (outputs.shape[1] - 1)).astype(np.int64).reshape(outputs.shape[0], count)
    return (np.take_along_axis(ordered, at, axis=1) + 1e-3 * (outputs.std() + 1e-6)).astype(np.float32)


def moments(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel (the last axis) where known, float32."""
    axes = tuple(range(values.ndim - 1))
    count = np.maximum(known.sum(axis=axes), 1)
    mean = np.where(known, values, 0).sum(axis=axes, dtype=np.float64) / count
    spread = np.sqrt((np.where(known, values - mean, 0) ** 2).sum(axis=axes, dtype=np.float64) / count)
    return mean.astype(np.float32), np.where(spread > 1e-6, spread, 1).astype(np.float32)


def read_flags(numbers: Mapping[str, Any]) -> np.ndarray:
    """Whether to pool to shares, to means, and to normalise each row by itself."""
    pooling = numbers["pooling"]
    return np.array([pooling != "mean", pooling != "proportion", numbers["normalise"]], np.int64)
