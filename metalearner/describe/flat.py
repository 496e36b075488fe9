"""Tensors as one matrix, for probes that look at positions alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensor, Tensors
from ..records import View

# One-hot columns of a categorical; rarer levels are dropped.
LEVELS = 20


def values(tensor: Tensor) -> np.ndarray:
    """float32 (n, axes..., channels), NaN where a number is missing or lies past the end of its sample."""
    found = np.where(np.isfinite(tensor.values), tensor.values, np.float32(np.nan))
    if tensor.mask is not None:
        found[~tensor.mask] = np.nan
    return found


def positions(tensors: Tensors, most: int, rng: np.random.Generator) -> np.ndarray:
    """(n, p) numbers of all views side by side, NaN where missing; at most `most` columns, drawn by chance."""
    parts = [values(t).reshape(len(t), int(np.prod(t.values.shape[1:]))) for t in tensors.values()]
    found = np.concatenate(parts, axis=1)
    return found if found.shape[1] <= most else found[:, np.sort(rng.permutation(found.shape[1])[:most])]


def matrix(tensors: Tensors, views: Mapping[str, View], most: int, rng: np.random.Generator) -> np.ndarray:
    """(n, p) numbers and one-hot categories, each column standardised, missing ones 0, constant ones left out."""
    columns = [positions(tensors, most, rng)]
    for name, view in views.items():
        codes = tensors[name].codes
        for i, levels in enumerate(view.cardinalities if codes is not None else ()):
            columns.append((codes[:, i, None] == np.arange(1, min(levels, LEVELS + 1))).astype(np.float32))  # type: ignore[index]
    found = standardised(np.concatenate(columns, axis=1))
    found = found[:, np.abs(found).max(axis=0, initial=0) > 0]
    return found if found.shape[1] <= most else found[:, np.sort(rng.permutation(found.shape[1])[:most])]


def standardised(x: np.ndarray) -> np.ndarray:
    """Columns (n, p) to mean 0 and deviation 1 over what is known of them; missing ones, and constant columns, to 0."""
    known = np.isfinite(x)
    count = np.maximum(1, known.sum(axis=0))
    centred = np.where(known, x, 0)
    centred = np.where(known, centred - centred.sum(axis=0) / count, 0)
    spread = np.sqrt((centred.astype(np.float64) ** 2).sum(axis=0) / count)
    return (centred / np.where(spread > 1e-6, spread, np.inf)).astype(np.float32)
