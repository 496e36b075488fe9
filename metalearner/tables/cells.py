"""Cells as they are read, and what they mean: numbers, booleans, words.

A cell may be text, a JSON scalar, or an entry of a typed array. The same value means the same in each
form: 1.5 and "1.50" are one number; 3, 3.0, "3" and "3.0" one word; True and "TRUE" one word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

Cells = Sequence[Any] | np.ndarray

# Infinity is written by programs that divided by zero: it is no number to learn from.
_INFINITE = ("inf", "-inf", "Inf", "-Inf", "Infinity", "-Infinity")
MISSING = frozenset(("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", "-", "NaT", "<NA>", *_INFINITE))
LARGEST = 1e30  # numbers beyond are cut: their squares must fit float64, themselves float32
LONGEST = 256  # characters of a word; NumPy gives every row of a column the width of the longest
TRUE, FALSE = ("true", "yes", "t", "y"), ("false", "no", "f", "n")

_BOOLEANS = dict.fromkeys((*TRUE, "1"), 1.0) | dict.fromkeys((*FALSE, "0"), 0.0)
_WHOLE = re.compile(r"(-?)0*(\d+)\.0*")
_EXACT = 1e15  # whole floats up to here are written without a decimal point


def numbers(cells: Cells) -> np.ndarray:
    """Cells as float64 (n,), NaN where they are missing, infinite or no numbers; cut at +-LARGEST.

    >>> numbers(["1.50", 1.5, "1_000", None, 10**400, True]).tolist()
    [1.5, 1.5, nan, nan, nan, 1.0]
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "fiub":
        values = cells.astype(np.float64)
    else:
        try:
            values = np.fromiter(map(float, cells), np.float64, len(cells))
            plain = not _any_odd(cells)
        except (TypeError, ValueError, OverflowError):
            plain = False
        if not plain:
            values = np.fromiter(map(_number, cells), np.float64, len(cells))
    values[~np.isfinite(values)] = np.nan
    return np.clip(values, -LARGEST, LARGEST, out=values)


def booleans(cells: Cells) -> np.ndarray:
    """Cells as 1.0, 0.0 or NaN, (n,).

    >>> booleans(["Yes", "f", True, 0, "perhaps"]).tolist()
    [1.0, 0.0, 1.0, 0.0, nan]
    """
    return np.array([_BOOLEANS.get(word.lower(), np.nan) for word in words(cells)], np.float64)


def text(cells: Cells) -> np.ndarray:
    """Cells as a NumPy array of str (n,), "" where missing, at most LONGEST characters each."""
    found = [word[:LONGEST] for word in words(cells)]
    return np.array(found, dtype=str) if found else np.zeros(0, "<U1")


def signs(cells: Cells) -> np.ndarray:
    """As `text`, of a column in which "-" is the opposite of "+" and not a missing value."""
    dash = np.fromiter((isinstance(c, str) and c.strip() == "-" for c in cells), bool, len(cells))
    return np.where(dash, "-", text(cells))


def dashes(cells: Cells) -> int:
    """How many cells hold a "-" and nothing else."""
    return sum(isinstance(c, str) and c.strip() == "-" for c in cells)


def words(cells: Cells) -> list[str]:
    """Cells as text, "" where missing."""
    if isinstance(cells, np.ndarray):
        if cells.dtype.kind == "M":
            return ["" if w == "NaT" else w for w in np.datetime_as_string(cells).tolist()]
        cells = cells.tolist()
    return [_from_text(c) if type(c) is str else word(c) for c in cells]


def word(cell: Any) -> str:
    """One cell as text, "" where missing.

    >>> word(3), word(3.0), word("3.0"), word(" TRUE "), word(float("nan")), word({"a": 1})
    ('3', '3', '3', 'true', '', '{"a": 1}')
    """
    if cell is None or isinstance(cell, bytes):
        return ""
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, float | np.floating):
        number = float(cell)
        if not np.isfinite(number):
            return ""
        return str(int(number)) if abs(number) < _EXACT and number == int(number) else repr(number)
    if isinstance(cell, date):  # and datetime, and pandas' Timestamp
        return _from_text(cell.isoformat())
    if isinstance(cell, dict | list | tuple):
        return json.dumps(cell, default=str, ensure_ascii=False)
    try:
        return _from_text(str(cell))
    except ValueError:  # an integer of more digits than Python writes
        return ""


def nested(cells: Cells) -> bool:
    """Whether one of the first cells holds a list, an object or bytes."""
    return any(isinstance(c, dict | list | tuple | bytes | np.ndarray) for c in cells[:50])


def _from_text(cell: str) -> str:
    stripped = cell.strip()
    if stripped in MISSING:
        return ""
    if stripped[-1] in "0." and (whole := _WHOLE.fullmatch(stripped)):
        return whole[2] if whole[2] == "0" else whole[1] + whole[2]
    return stripped.lower() if stripped in ("True", "TRUE", "False", "FALSE") else stripped


def _any_odd(cells: Cells) -> bool:
    try:
        return "_" in "".join(cells)
    except TypeError:
        return any(_odd(cell) for cell in cells)


def _odd(cell: Any) -> bool:
    """Whether `float` reads a number in a cell that holds none: digits grouped by "_", bytes, arrays."""
    return isinstance(cell, bytes | np.ndarray) or (isinstance(cell, str) and "_" in cell)


def _number(cell: Any) -> float:
    if cell is None or _odd(cell) or (isinstance(cell, str) and cell.strip() in MISSING):
        return np.nan
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        return np.nan
