"""Who a row is, and who a data set is: hashes that do not depend on the order of rows, and a sketch that near duplicates share."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from ..arrays import Array, Fields, Ragged
from ..records import Sketch

# Columns whose quantiles are kept, and which; levels that ranks are cut into; hashes of a MinHash.
WIDEST, QUANTILES, LEVELS, HASHES = 16, (0.1, 0.3, 0.7, 0.9), 8, 64
# Columns, and rows that differ, from which on a MinHash tells; columns of no more values than this are another kind.
NARROWEST, FEWEST, FEW_VALUES = 5, 64, 12
# Numbers that stand for an array: so many of its places, beside mean and deviation. Rows that are looked at.
PLACES, MOST = 6, 20_000
PRIME = np.uint64((1 << 31) - 1)


def row_hashes(fields: Fields) -> np.ndarray:
    """One uint64 a row; equal rows have equal hashes."""
    total = np.zeros(fields.rows, np.uint64)
    for name in sorted(fields):
        mixed = total * np.uint64(0x9E3779B97F4A7C15) + np.uint64(len(name))
        total = (mixed ^ (mixed >> np.uint64(31))) + _column(fields[name])
    return total


def data_hash(hashes: np.ndarray) -> str:
    """SHA-256 over the sorted row hashes."""
    return hashlib.sha256(np.sort(hashes).tobytes()).hexdigest()


def sketch(fields: Fields, hashes: np.ndarray) -> Sketch:
    """Quantiles of standardised columns, and the MinHash (Broder 1997) of rows whose numbers were replaced by coarse ranks.

    Neither knows the names, the scales or the order of columns. Of very many rows those with the smallest hashes tell.
    """
    if fields.rows > MOST:
        fields = fields.take(np.argsort(hashes)[:MOST])
    columns = [c for name in sorted(fields) for c in _plain(fields[name])]
    quantiles = sorted(_quantiles(c) for c in columns)
    evenly = np.unique(np.linspace(0, len(columns) - 1, min(WIDEST, len(columns))).astype(int))
    return Sketch(len(columns), tuple(q for j in evenly for q in quantiles[j]), _minhash(columns))


def _plain(column: Array) -> list[np.ndarray]:
    """One number a row, or a few that stand for an array; levels by how frequent they are."""
    if isinstance(column, Ragged) or column.ndim > 1:
        flat = [np.asarray(sample, dtype=float).ravel() for sample in column]
        flat = [f if len(f) else np.zeros(1) for f in flat]
        known = [f[np.isfinite(f)] if np.isfinite(f).any() else np.zeros(1) for f in flat]
        at = ([f[int(p * (len(f) - 1))] for f in flat] for p in np.linspace(0, 1, PLACES))
        return [np.array(c) for c in (*at, [f.mean() for f in known], [f.std() for f in known])]
    if column.dtype.kind in "US":
        _, place, counts = np.unique(column, return_inverse=True, return_counts=True)
        return [np.argsort(np.argsort(-counts, kind="stable")).astype(float)[place]]
    return [column.astype(float)]


def _ranks(column: np.ndarray) -> np.ndarray:
    """(n,) which of LEVELS parts of the sorted values; what is missing is a part of its own."""
    known = np.isfinite(column)
    edges = np.quantile(column[known], np.arange(1, LEVELS) / LEVELS) if known.any() else np.zeros(LEVELS - 1)
    return np.where(known, np.searchsorted(edges, column), LEVELS)


def _quantiles(column: np.ndarray) -> tuple[float, ...]:
    """In quartile ranges from the median; zeros where the middle half is one value."""
    known = column[np.isfinite(column)]
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75]) if len(known) else (0.0, 0.0, 0.0)
    if high <= low:
        return (0.0,) * len(QUANTILES)
    return tuple(round(float(v), 2) for v in np.clip((np.quantile(known, QUANTILES) - middle) / (high - low), -99, 99))


def _minhash(columns: list[np.ndarray]) -> tuple[int, ...]:
    """HASHES numbers below 2^31; none where there are too few columns or too few different rows to tell.

    A row's code is the sum of a random number for each rank it holds, so that the order of columns does not matter.
    """
    if len(columns) < NARROWEST:
        return ()
    rng = np.random.default_rng(0)
    tables = rng.integers(1 << 62, size=(2, LEVELS + 1), dtype=np.uint64)
    codes = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        codes += tables[int(len(np.unique(column)) > FEW_VALUES), _ranks(column)]
    codes = np.unique(codes) % PRIME
    if len(codes) < FEWEST:
        return ()
    drawn = rng.integers(1, int(PRIME), size=(HASHES, 2), dtype=np.uint64)
    return tuple(int(((a * codes + b) % PRIME).min()) for a, b in drawn)


def _column(column: Array) -> np.ndarray:
    if isinstance(column, Ragged) or column.ndim > 1:
        rows = (np.ascontiguousarray(sample).tobytes() for sample in column)
        return np.array([_short(r) for r in rows], dtype=np.uint64)
    if column.dtype.kind == "U":
        return pd.util.hash_array(np.asarray(column, dtype=object), categorize=True)
    return pd.util.hash_array(np.ascontiguousarray(column) + 0.0)


def _short(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
