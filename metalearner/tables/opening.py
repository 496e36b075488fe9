"""Which form of table a source has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from . import database, delimited, frame, rows
from .frame import is_frame
from .table import Table

__all__ = ["is_frame", "open_table"]


def open_table(source: Any) -> Table | None:
    """The table a source holds; None when it holds none, DataError when it holds a broken one."""
    if frame.is_frame(source):
        return frame.table(source)
    if isinstance(source, list):
        return rows.table(source)
    if not isinstance(source, str | os.PathLike):
        return None
    name, _, inner = os.fspath(source).partition("::")
    path = Path(name)
    suffix = path.suffix.lower()
    if not path.is_file():
        return None
    if suffix in database.SUFFIXES:
        return database.table(path, inner)
    if inner:
        return None
    if suffix in delimited.SUFFIXES:
        return delimited.table(path)
    if suffix in frame.SUFFIXES:
        return frame.parquet(path)
    return rows.lines(path) if suffix in rows.SUFFIXES else None
