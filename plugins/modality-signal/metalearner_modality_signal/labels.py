"""Labels: which kind of column they are, and their one written form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from metalearner.errors import DataError
from metalearner.records import Column


def column(name: str, labels: np.ndarray, kind: str = "") -> Column:
    """The column of these labels: a category, or a number when they are many or fractional."""
    kind = kind or _kind(labels)
    if kind == "number":
        return Column(name, kind, missing=float(np.mean(np.isnan(as_numbers(name, labels)))) if len(labels) else 0.0)
    texts = as_text(labels)
    counts = Counter(t for t in texts.tolist() if t)
    levels = tuple(sorted(counts, key=lambda level: (-counts[level], level)))
    return Column(name, kind, missing=float(np.mean(texts == "")) if len(texts) else 0.0, levels=levels)


def _kind(labels: np.ndarray) -> str:
    """Strings and booleans are categories; so are whole numbers with few distinct values."""
    if labels.dtype.kind in "USb":
        return "category"
    known = labels[np.isfinite(labels)]
    if (known != np.floor(known)).any():
        return "number"
    distinct = np.unique(known)
    few = len(distinct) <= max(20, len(known) / 20)
    # codes 0..K-1 or 1..K with some rows each are classes even in a small set of many classes
    codes = len(distinct) > 0 and distinct[0] in (0, 1) and distinct[-1] - distinct[0] + 1 == len(distinct)
    return "category" if few or (codes and len(known) >= 5 * len(distinct)) else "number"


def as_text(labels: np.ndarray) -> np.ndarray:
    """Labels as str (n,), "" where missing; 3.0 and 3 are both "3".

    >>> as_text(np.array([3.0, np.nan, 0.5])).tolist()
    ['3', '', '0.5']
    """
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "utf-8")
    if labels.dtype.kind == "f":
        texts = [
            "" if np.isnan(v) else str(int(v)) if np.isfinite(v) and v == int(v) else repr(float(v)) for v in labels
        ]
        return np.array(texts, dtype=str)
    return np.char.strip(labels.astype(str)) if len(labels) else np.zeros(0, dtype=str)


def as_numbers(name: str, labels: np.ndarray) -> np.ndarray:
    """Labels as float64 (n,), NaN where missing; DataError names the first that is no number."""
    if labels.dtype.kind not in "US":
        values = labels.astype(np.float64)
        return np.where(np.isfinite(values), values, np.nan)
    values = np.full(len(labels), np.nan)
    for i, text in enumerate(as_text(labels).tolist()):
        try:
            values[i] = float(text) if text not in ("", "?") else np.nan
        except ValueError:
            raise DataError(
                f"'{text}' in column '{name}', row {i + 1}, is no number.", "The column holds numbers."
            ) from None
    return np.where(np.isfinite(values), values, np.nan)


def from_values(values: Sequence[Any]) -> np.ndarray:
    """Labels out of JSON or CSV: booleans, numbers, or text when any of them is text."""
    if values and all(isinstance(v, bool) for v in values):
        return np.array(values, dtype=bool)
    if all(v is None or isinstance(v, int | float) for v in values):
        return np.array([np.nan if v is None else float(v) for v in values], dtype=np.float64)
    return np.array(["" if v is None else str(v) for v in values], dtype=str)


def kind_of_texts(texts: Sequence[str]) -> str:
    """The kind of a column of written labels: "number" when all are and they are many or fractional.

    >>> kind_of_texts(["0.5", "1.5", ""]), kind_of_texts(["01", "02"]), kind_of_texts(["a", "1"])
    ('number', 'category', 'category')
    """
    try:
        return _kind(np.array([float(t) if t.strip() else np.nan for t in texts], dtype=np.float64))
    except ValueError:
        return "category"
