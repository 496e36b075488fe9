"""A prepared data set at a glance: its columns one by one, and how its target is spread."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import Ragged
from ..dataset import Dataset
from ..kinds import Output
from ..pictures import Picture, Series

# Values further than so many times the middle half's width outside of it are far out.
FAR = 3.0
# More different values than this are drawn as a histogram.
FEW, BINS = 20, 20


def columns(dataset: Dataset) -> list[dict[str, Any]]:
    """A row for each column that is learnt from."""
    found = []
    for column in dataset.schema.columns:
        row: dict[str, Any] = {"column": column.name, "kind": column.kind, "missing": column.missing}
        values = dataset.fields.get(column.name)
        if values is not None and not isinstance(values, Ragged) and values.ndim == 1:
            row["different"] = len(np.unique(values[:5000]))
            row["far out"] = _far(values) if values.dtype.kind == "f" else None
        found.append({**row, "note": column.note})
    return found


def balance(dataset: Dataset, output: Output) -> Picture | None:
    """How often each class or value of the target comes; None where there is nothing to draw."""
    words = output.words(dataset.state, dataset.target)
    names, counts = np.unique(words, return_counts=True)
    name = dataset.task.target
    if len(names) <= FEW:
        order = np.argsort(-counts)
        bars = Series("rows", tuple(str(n) for n in names[order]), tuple(int(c) for c in counts[order]), "bars")
        return Picture(f"How {name} is spread", "", name, "rows", (bars,))
    try:
        numbers = np.array(words, float)
    except ValueError:
        return None
    counts, edges = np.histogram(numbers[np.isfinite(numbers)], BINS)
    middle = tuple(float(f"{v:.5g}") for v in (edges[1:] + edges[:-1]) / 2)
    return Picture(
        f"How {name} is spread", "", name, "rows", (Series("rows", middle, tuple(map(int, counts)), "bars"),)
    )


def _far(values: np.ndarray) -> int:
    known = values[np.isfinite(values)]
    if not len(known):
        return 0
    low, high = np.quantile(known, [0.25, 0.75])
    width = (high - low) or np.inf
    return int(((known < low - FAR * width) | (known > high + FAR * width)).sum())
