"""What right and wrong predictions look like, by kind of answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..pictures import Picture, Series

# More classes than this are no matrix that anybody can read.
MOST_CLASSES = 30
# Bins of a reliability diagram, and rows that one needs.
BINS, BIN_ROWS = 10, 12
# Points of a scatter: more are a blot.
MOST_POINTS = 800


def confusion(classes: Sequence[str], truth: np.ndarray, said: np.ndarray) -> Picture | None:
    """How often each class was called what; None where there are too many of them."""
    if len(classes) > MOST_CLASSES:
        return None
    counts = np.zeros((len(classes), len(classes)), int)
    known = truth >= 0
    np.add.at(counts, (truth[known], said[known]), 1)
    grid = tuple(tuple(int(v) for v in row) for row in counts)
    return Picture("Confusion matrix", "Each row is what it truly was, each column what the model said; the diagonal is right.",
                   "said", "truth", grid=grid, rows=tuple(classes), columns=tuple(classes))  # fmt: skip


def reliability(confidence: np.ndarray, right: np.ndarray, of: str) -> Picture | None:
    """How often the model is right where it says that it is so sure; bins of equally many rows."""
    bins = min(BINS, len(right) // BIN_ROWS)
    if bins < 2:
        return None
    parts = np.array_split(np.argsort(confidence, kind="stable"), bins)
    x = tuple(float(confidence[p].mean()) for p in parts)
    y = tuple(float(right[p].mean()) for p in parts)
    notes = tuple(f"{len(p)} rows: said {a:.0%}, true {b:.0%}" for p, a, b in zip(parts, x, y))
    ends = (float(min(*x, *y)), float(max(*x, *y)))
    return Picture("Reliability", "Where the model says 80 %, it should be right for 80 of 100 rows: points on the dotted line.",
                   f"probability said {of}", "share that was so",
                   (Series("as it should be", ends, ends, "reference"), Series("this model", x, y, "points", notes)))  # fmt: skip


def agreement(truth: np.ndarray, said: np.ndarray) -> Picture:
    """What was said against what is true."""
    rows = _some(len(truth))
    ends = (float(min(truth.min(), said.min())), float(max(truth.max(), said.max())))
    dots = Series("rows", _floats(truth[rows]), _floats(said[rows]), "points")
    return Picture("Predicted against true", "Each point is a row; on the dotted line the prediction is exact.",
                   "true", "predicted", (Series("exact", ends, ends, "reference"), dots))  # fmt: skip


def residuals(truth: np.ndarray, said: np.ndarray) -> Picture:
    """What is left over, against what was said."""
    rows = _some(len(truth))
    ends = (float(said.min()), float(said.max()))
    return Picture("Residuals", "True minus predicted: a cloud around zero without a shape means that nothing is left to learn.",
                   "predicted", "true − predicted",
                   (Series("exact", ends, (0.0, 0.0), "reference"),
                    Series("rows", _floats(said[rows]), _floats((truth - said)[rows]), "points")))  # fmt: skip


def _some(n: int) -> np.ndarray:
    return np.sort(np.random.default_rng(0).permutation(n)[:MOST_POINTS])


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{v:.6g}") for v in values)
