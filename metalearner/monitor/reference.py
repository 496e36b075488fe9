"""How inputs and predictions were distributed when the model was made: counts and quantiles, no rows."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arrays import Fields
from ..kinds import Modality
from ..records import Schema

# Points at which a numeric distribution is kept; the outermost lie at 0.25 % and 99.75 %, so extremes stay out.
POINTS = 200
# A category with more levels than this is counted in so many groups. Who goes where must not depend on the counts:
# the levels that were most frequent then would be less so now, by chance alone.
LEVELS, GROUPS = 200, 64


def reference(
    modality: Modality, fields: Fields, schema: Schema, predictions: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """JSON that `monitor` compares new rows against.

    `fields` are the training rows. `predictions` is the Output's table for rows the model was *not* fitted on
    (a sealed test, rows kept apart): on its own training rows a model is surer than it will be again. It may be
    empty, then predictions are not watched.
    """
    return {
        "rows": fields.rows,
        "features": {name: summarise(column) for name, column in modality.features(fields, schema).items()},
        "predictions": {name: summarise(column) for name, column in watched(predictions).items()},
    }


def watched(table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of a prediction table the `prediction`, and where there are probabilities the largest one.

    >>> watched({"prediction": ["a"], "p_a": [0.7], "p_b": [0.3]})
    {'prediction': array(['a'], dtype='<U1'), 'confidence': array([0.7])}
    """
    if "prediction" not in table:
        return {}
    found = {"prediction": np.asarray(table["prediction"])}
    probabilities = [np.asarray(table[name], np.float64) for name in table if str(name).startswith("p_")]
    return found | ({"confidence": np.max(probabilities, axis=0)} if probabilities else {})


def summarise(column: np.ndarray) -> dict[str, Any]:
    """A column (n,) of numbers as its distribution function at some points, one of words as counts."""
    column = np.asarray(column)
    if column.dtype.kind in "fiub":
        values = column.astype(np.float64)
        present = np.sort(values[np.isfinite(values)])
        points = _points(present)
        # Exact shares at values that occur: ties and whole numbers need no interpolation.
        shares = np.searchsorted(present, points, side="right") / max(1, len(present))
        missing = len(values) - len(present)
        return {"kind": "number", "rows": len(present), "missing": missing,
                "points": points.tolist(), "shares": shares.tolist()}  # fmt: skip
    words = as_words(column)
    present = words[words != ""]
    counts = count(present)
    grouped = len(counts) > LEVELS
    return {"kind": "category", "rows": len(present), "missing": len(words) - len(present), "grouped": grouped,
            "levels": count(grouping(present)) if grouped else counts}  # fmt: skip


def as_words(column: np.ndarray) -> np.ndarray:
    """Text of each entry; "" for None and NaN."""
    column = np.asarray(column)
    if column.dtype.kind == "U":
        return column
    return np.array(["" if v is None or str(v) == "nan" else str(v) for v in column.tolist()], dtype=str)


def count(words: np.ndarray) -> dict[str, int]:
    """How often each word occurs, the most frequent first."""
    levels, counts = np.unique(words, return_counts=True)
    return {str(levels[i]): int(counts[i]) for i in np.argsort(-counts, kind="stable")}


def grouping(words: np.ndarray) -> np.ndarray:
    """The group of each word, by its checksum."""
    levels, places = np.unique(words, return_inverse=True)
    groups = np.array([f"group {zlib.crc32(level.encode()) % GROUPS}" for level in levels.tolist()], dtype=str)
    return groups[places] if len(levels) else words


def _points(ordered: np.ndarray) -> np.ndarray:
    if not len(ordered):
        return ordered
    ranks = ((np.arange(POINTS) + 0.5) / POINTS * len(ordered)).astype(int)
    return np.unique(ordered[ranks])
