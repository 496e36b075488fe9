"""Tensors as one matrix, for probes that look at positions alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensors
from ..records import View

# One-hot columns of a categorical; rarer levels are dropped.
LEVELS = 20


def positions(tensors: Tensors) -> np.ndarray:
    """(n, p) values of all views side by side, missing ones 0."""
    parts = [
        np.nan_to_num(t.values.reshape(len(t), int(np.prod(t.values.shape[1:]))), posinf=0, neginf=0)
        for t in tensors.values()
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


def matrix(tensors: Tensors, views: Mapping[str, View]) -> np.ndarray:
    """(n, p) values, then categorical codes one-hot; each column standardised, constant ones left out."""
    columns = [positions(tensors)]
    for name, view in views.items():
        codes = tensors[name].codes
        for i, levels in enumerate(view.cardinalities if codes is not None else ()):
            columns.append((codes[:, i, None] == np.arange(1, min(levels, LEVELS + 1))).astype(np.float32))  # type: ignore[index]
    x = np.concatenate(columns, axis=1)
    x = x - x.mean(axis=0)
    spread = x.std(axis=0)
    return (x / np.where(spread > 1e-6, spread, 1))[:, spread > 1e-6]
