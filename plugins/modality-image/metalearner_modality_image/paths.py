"""Tables with a column of paths to pictures, in any form that tables have."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.errors import DataError
from metalearner.tables import Cells, Table, open_table

from .listing import Listing
from .pixels import SUFFIXES

LOOKED_AT = 50  # rows
NAMES_IMAGES, THERE = 0.95, 0.5  # shares of them

Columns = Mapping[str, Sequence[Any]]


def listing(source: Any, path_column: str = "", claiming: bool = False) -> Listing | None:
    """The pictures that a table names, relative to its folder, a DataFrame's to here; None when no column does.

    `claiming`: the table is judged by whether the files are there too, for it may be a mere table, and one that is broken is
    left to those who read tables. Else the column `path_column`, or one that looks like it, is taken. Raises DataError for a
    broken table or when many of the files are not there.
    """
    try:
        table = open_table(source)
        head = {name: _list(cells)[:LOOKED_AT] for name, cells in _first(table).items()} if table else {}
    except DataError:
        if claiming:
            return None
        raise
    base = Path(source).parent if isinstance(source, str | os.PathLike) else Path()
    found = _column(table.source, head, base, path_column, claiming) if table else ""
    return _listing(table.source, _all(table), base, found) if table and found else None


def names_pictures(cells: Sequence[Any], base: Path | None = None) -> bool:
    """Whether nearly all of the first cells are names of pictures, and, below `base`, those of files that are there."""
    first = [str(cell).strip() for cell in cells[:LOOKED_AT]]
    named = [name for name in first if name.lower().endswith(SUFFIXES)]
    if base is not None:
        named = [name for name in named if (base / name).is_file()]
    return len(first) > 0 and len(named) >= NAMES_IMAGES * len(first)


def _column(where: str, columns: Columns, base: Path, known: str, claiming: bool) -> str:
    """The name of the column with the paths, "" when there is none."""
    if known in columns and not claiming and any(str(c).strip().lower().endswith(SUFFIXES) for c in columns[known]):
        return known
    candidates = [name for name, cells in columns.items() if names_pictures(cells)]
    if not claiming:
        return candidates[0] if candidates else ""
    for name in candidates:
        if names_pictures(columns[name], base):
            return name
    for name in candidates:
        first = [str(cell).strip() for cell in columns[name][:LOOKED_AT]]
        absent = [cell for cell in first if not (base / cell).is_file()]
        if len(absent) <= (1 - THERE) * len(first):
            raise DataError(
                f"{len(absent)} of the first {len(first)} images that column '{name}' of {where} names are not there: "
                f"{absent[0]}.",
                f"Paths are taken from where {where} lies." if base != Path() else "Paths are taken from here.",
                "Add the files or correct the paths.",
            )
    return ""


def _listing(where: str, columns: Columns, base: Path, path_column: str) -> Listing:
    if path_column.lower().endswith(SUFFIXES):
        raise DataError(
            f"{where} has no header: its first line names the image '{path_column}'.",
            "The first line holds the names of the columns.",
            "Put 'path,label' above it.",
        )
    cells = [str(cell).strip() for cell in columns[path_column]]
    names = tuple(cell or f"row {i}" for i, cell in enumerate(cells, 1))
    others = {name: column for name, column in columns.items() if name not in (path_column, "image")}
    happened = f"{where} has no column but the paths in '{path_column}'." if not others else ""
    return Listing(
        where=where,
        files=tuple(base / cell for cell in cells),
        names=names,
        columns=others,
        options={"form": "paths", "path_column": path_column},
        unlabelled=(happened, "Labels are needed to learn from.", "Add them as a second column."),
    )


def _first(table: Table) -> Mapping[str, Cells]:
    """The first rows."""
    return next(iter(table.read(table.names)), {})


def _all(table: Table) -> Columns:
    """All rows."""
    columns: dict[str, list[Any]] = {name: [] for name in table.names}
    for chunk in table.read(table.names):
        for name, cells in chunk.items():
            columns[name] += _list(cells)
    return columns


def _list(cells: Cells) -> list[Any]:
    return cells.tolist() if isinstance(cells, np.ndarray) else list(cells)
