"""Who a row is, and who a data set is: hashes that do not depend on the order of rows."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from ..arrays import Array, Fields, Ragged


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


def _column(column: Array) -> np.ndarray:
    if isinstance(column, Ragged) or column.ndim > 1:
        rows = (np.ascontiguousarray(sample).tobytes() for sample in column)
        return np.array([_short(r) for r in rows], dtype=np.uint64)
    if column.dtype.kind == "U":
        return pd.util.hash_array(np.asarray(column, dtype=object), categorize=True)
    return pd.util.hash_array(np.ascontiguousarray(column) + 0.0)


def _short(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
