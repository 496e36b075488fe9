"""Dates: which format a column is written in, and its days since 1970-01-01."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from metalearner.tables.cells import Cells, words

ISO = "ISO8601"
SHARE = 0.95  # of the values must be dates of one format
SAMPLE = 500

# Where day and month cannot be told apart the first that fits is taken: 3/4/2020 is 4 March, 3.4.2020 is 3 April.
_FIGURES = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y")
_SHORT = ("%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d-%m-%y")
_NAMED = ("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_LOOKS = re.compile(
    r"\d{4}-\d{2}|\d{4}([-/.])\d{1,2}\1\d{1,2}.*|\d{1,2}([-/.])\d{1,2}\2(\d{4}|\d{2})\b.*"
    r"|\d{1,2}[ -][A-Za-z]{3,9}[ -](\d{4}|\d{2})\b.*|[A-Za-z]{3,9} \d{1,2},? \d{4}\b.*"
)


def find_format(counts: Mapping[str, int]) -> str:
    """The format in which at least SHARE of these words, counted, are dates; empty when there is none.

    >>> find_format({"2020-01-31": 1, "2020-02-01T10:00": 1}), find_format({"31/01/2020": 1, "01/02/2020": 1})
    ('ISO8601', '%d/%m/%Y')
    >>> find_format({"7": 2}), find_format({"2020-01-31": 2, "soon": 1})
    ('', '')
    """
    found, times = list(counts), np.array(list(counts.values()))
    step = max(1, len(found) // SAMPLE)
    sample, weights = found[::step], times[::step]
    looks = np.array([bool(_LOOKS.fullmatch(word)) for word in sample])
    if not len(sample) or weights[looks].sum() < SHARE * weights.sum():
        return ""
    formats = [ISO, *(day + time for day, time in product((*_FIGURES, *_SHORT, *_NAMED), _TIMES))]
    best = max(formats, key=lambda f: weights[np.isfinite(_parse(sample, f))].sum())
    return best if times[np.isfinite(_parse(found, best))].sum() >= SHARE * times.sum() else ""


def days(cells: Cells, written: str) -> np.ndarray:
    """Days since 1970-01-01 (n,) float64 with the time of day as a fraction; NaN where there is no date.

    `written` is the format of the column. Dates in ISO 8601 are understood in any column, for they cannot
    be mistaken. A time zone is turned into UTC.
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        return _days(cells)
    found = words(cells)
    distinct = list(dict.fromkeys(w for w in found if w))
    if not distinct:
        return np.full(len(found), np.nan)
    values = _parse(distinct, written or ISO)
    if written not in ("", ISO) and np.isnan(values).any():
        values = np.where(np.isnan(values), _parse(distinct, ISO), values)
    known = dict(zip(distinct, values.tolist()))
    return np.array([known.get(w, np.nan) for w in found], np.float64)


def _parse(found: Sequence[str], written: str) -> np.ndarray:
    import pandas as pd

    # pandas reads a bare number as a year
    dated = [w if _LOOKS.fullmatch(w) else None for w in found]
    parsed = pd.to_datetime(pd.Series(dated, dtype=object), format=written, errors="coerce", utc=True)
    return _days(parsed.dt.tz_localize(None).to_numpy())


def _days(moments: np.ndarray) -> np.ndarray:
    known = ~np.isnat(moments)
    microseconds = np.where(known, moments, np.datetime64(0, "s")).astype("datetime64[us]").astype(np.int64)
    return np.where(known, microseconds / 86_400e6, np.nan)
