"""Columns beside what a model looks at: which kind they are, and their one written form."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..records import Column

NAMES = ("label", "target", "class", "y", "labels", "targets")  # the earlier, the more likely
MANY = 20  # distinct numbers up to which they are classes
PARSES = 0.98


def column(name: str, values: Sequence[Any], note: str = "") -> Column:
    """A category; or a number, when nearly all values are numbers, of more than 20 sizes, that are no class codes."""
    texts = [text(v) for v in values]
    present = [t for t in texts if t]
    missing = 1 - len(present) / max(1, len(texts))
    if _are_numbers(present):
        unknown = float(np.isnan([number(t) for t in texts]).mean())
        return Column(name, "number", missing=unknown, note=note)
    counts = Counter(present)
    levels = tuple(sorted(counts, key=lambda level: (-counts[level], level)))
    return Column(name, "category", missing=missing, levels=levels, note=note)


def decoded(kind: str, values: Sequence[Any]) -> np.ndarray:
    """(n,) float64 with NaN, or str with "", by the column's kind."""
    if kind == "number":
        return np.array([number(v) for v in values], dtype=np.float64)
    return np.array([text(v) for v in values], dtype=str)


def text(value: Any) -> str:
    """What a value is called as a class, "" when it is missing.

    >>> [text(v) for v in (3, 3.0, 0.5, " cat ", None, float("nan"), True)]
    ['3', '3', '0.5', 'cat', '', '', 'True']
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else str(value).strip()


def number(value: Any) -> float:
    """A value as a number, NaN when it is missing or none."""
    try:
        found = float(value) if not isinstance(value, str) or "_" not in value else math.nan
    except (TypeError, ValueError):
        return math.nan
    return found if math.isfinite(found) else math.nan


def target_hint(names: Sequence[str]) -> str:
    """The only column, or the one that is called what targets are called; "" when neither is there."""
    if len(names) == 1:
        return names[0]
    folded = {name.strip().lower(): name for name in reversed(names)}
    return next((folded[n] for n in NAMES if n in folded), "")


def _are_numbers(present: Sequence[str]) -> bool:
    values = np.array([number(t) for t in present])
    known = values[np.isfinite(values)]
    if len(known) < PARSES * len(values) or len(np.unique(known)) <= MANY:
        return False
    # 0, 1 .. K-1 with some rows each are the codes of many classes
    distinct, counts = np.unique(known, return_counts=True)
    return not (np.array_equal(distinct, np.arange(len(distinct))) and counts.min() >= 5)
