"""Tables with a column of paths to pictures: CSV, TSV, DataFrame."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from metalearner.errors import DataError

from .listing import Listing
from .pixels import SUFFIXES

LOOKED_AT = 50  # rows
NAMES_IMAGES, THERE = 0.95, 0.5  # shares of them
DELIMITERS = {".csv": ",;\t|", ".tsv": "\t"}

Columns = Mapping[str, Sequence[Any]]


def is_frame(source: Any) -> bool:
    """Whether it is a DataFrame, without importing pandas: who has none has no DataFrame."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, getattr(pandas, "DataFrame", ()))


def listing(source: Any, path_column: str = "", claiming: bool = False) -> Listing | None:
    """The pictures a CSV (relative to its folder) or a DataFrame names; None when no column does.

    `claiming`: the table is judged by whether the files are there too, for it may be a mere table. Else the
    column `path_column`, or one that looks like it, is taken. Raises DataError for a ragged row or when many of
    the files are not there.
    """
    if is_frame(source):
        columns = {str(name): source.iloc[:, i].tolist() for i, name in enumerate(source.columns)}
        return _listing("the DataFrame", columns, Path(), _column("DataFrame", columns, Path(), path_column, claiming))
    path = Path(source)
    for delimiter in DELIMITERS[path.suffix.lower()]:
        if (head := _head(path, delimiter)) is None:
            return None
        if found := _column(path.name, head, path.parent, path_column, claiming):
            return _listing(path.name, _all(path, delimiter), path.parent, found)
    return None


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


def _listing(where: str, columns: Columns, base: Path, path_column: str) -> Listing | None:
    if not path_column:
        return None
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


def _head(path: Path, delimiter: str) -> Columns | None:
    """Columns of the first 50 rows; None for what is no table in UTF-8, or has no rows: others say what is wrong."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in islice(csv.reader(file, delimiter=delimiter), LOOKED_AT + 1) if row]
    except (UnicodeDecodeError, csv.Error):
        return None
    return {name: [row[i] for row in rows[1:] if len(row) > i] for i, name in enumerate(rows[0])} if rows else None


def _all(path: Path, delimiter: str) -> Columns:
    """All columns. DataError for a row of another length, a name that stands twice, or a broken file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter)
            names = next(row for row in reader if row)
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise DataError(
                    f"{path.name} has more than one column '{twice[0]}'.", "Names are unique.", "Rename one."
                )
            rows = []
            for row in reader:
                if len(row) not in (0, len(names)):
                    raise DataError(
                        f"Line {reader.line_num} of {path.name} has {len(row)} cells, its header {len(names)}.",
                        "Every row has as many cells as the header has names.",
                        "Put cells that contain the delimiter in quotes.",
                    )
                if row:
                    rows.append(row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path.name} cannot be read: {error}.", "A table is text in UTF-8.", "Write it again."
        ) from None
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}
