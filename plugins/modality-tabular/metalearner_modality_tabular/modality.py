"""The modality "tabular": recognises a table, says what its columns are, reads it in chunks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import Array, Fields
from metalearner.errors import DataError, nearest
from metalearner.kinds import Modality, Source
from metalearner.records import Axis, Column, Schema, View
from metalearner.tables import Cells, Chunk, Table, empty, open_table
from metalearner.tables.cells import booleans, numbers, signs, text
from metalearner.tables.rows import hold_arrays

from .columns import LEFT_OUT, Tally, target_hint, used, with_edges
from .dates import days

# A table in which a column names such files is theirs who read these.
PICTURES_AND_SOUNDS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".wav", ".flac")
LOOKED_AT, NAMES_FILES = 50, 0.95


class TabularModality(Modality):
    """Rows and columns: numbers, booleans, dates and categories."""

    name = "tabular"
    transform = "table-scaling"

    def sniff(self, source: Source) -> Schema | None:
        """CSV, TSV, Parquet, JSON lines, SQLite, DataFrames and lists of rows; None for all else."""
        table = open_table(source)
        if table is None or (isinstance(source, list) and (not source or hold_arrays(source))):
            return None
        tallies = {name: Tally(name, name in table.categories) for name in table.names}
        first = True
        for chunk in table.read(table.names):
            if first and table.options["form"] == "delimited" and _names_files(chunk, Path(source).parent):
                return None
            first = False
            for name, cells in chunk.items():
                tallies[name].add(cells)
        total = max((tally.rows for tally in tallies.values()), default=0)
        if not total:
            raise empty(table.source, "has no rows")
        found = [tally.column() for tally in tallies.values()]
        written = {column.name: form for column, form in found if form}
        options = dict(table.options) | ({"dates": written} if written else {})
        columns = with_edges([column for column, _ in found], [tally.constant for tally in tallies.values()])
        return Schema("tabular", table.source, total, columns, options, target_hint(table.names))

    def decode(self, source: Source, schema: Schema) -> Iterator[Fields]:
        """Chunks of columns by their kind in the schema: float64 with NaN, or str with "" where missing.

        Columns that were left out need not be there: no model looks at them.
        """
        table = open_table(source)
        if table is None:
            raise DataError(
                f"{_called(source)} is no table.",
                "A table is a CSV, TSV, Parquet, JSONL or SQLite file, a DataFrame or a list of rows.",
                "Give rows of the same kind as the model was trained on.",
            )
        if isinstance(source, list) and not source:
            yield Fields({c.name: _decoded(c, [], schema) for c in schema.columns})
            return
        _check(table, schema)
        wanted = [name for name in schema.names if name in table.names]
        chunks = 0
        for chunk in table.read(wanted or table.names[:1]):
            chunks += 1
            yield _fields(chunk, schema)
        if not chunks:
            yield Fields({c.name: _decoded(c, [], schema) for c in schema.columns})

    def views(self, schema: Schema) -> dict[str, View]:
        """The view "table": about as many columns as `table-scaling` will give."""
        kinds = [c.kind for c in used(schema)]
        # a date gives its day, and sine and cosine of month and weekday
        width = sum(5 if kind == "date" else 1 for kind in kinds if kind != "category")
        sizes = tuple(len(c.levels) + 1 for c in used(schema) if c.kind == "category")
        return {"table": View((Axis("columns", width),), 1, sizes)}

    def features(self, fields: Fields, schema: Schema) -> dict[str, np.ndarray]:
        """The columns a model can look at, as they are."""
        return {c.name: np.asarray(fields[c.name]) for c in used(schema) if c.name in fields}


def _names_files(chunk: Chunk, folder: Path) -> bool:
    """Whether a column holds paths of pictures or sounds that are there."""
    for cells in chunk.values():
        found = [str(cell).strip() for cell in cells[:LOOKED_AT]]
        there = [f.lower().endswith(PICTURES_AND_SOUNDS) and os.path.isfile(folder / f) for f in found if f]
        if there and sum(there) >= NAMES_FILES * len(there):
            return True
    return False


def _check(table: Table, schema: Schema) -> None:
    """DataError when a column that is needed is not there."""
    needed = [c.name for c in schema.columns if not c.note.startswith(LEFT_OUT)]
    lacking = [name for name in needed if name not in table.names]
    if not lacking:
        return
    folded = {name.lower(): name for name in table.names}
    near = nearest(lacking[0], table.names)
    if lacking[0].lower() in folded:
        near = f" Did you mean '{folded[lacking[0].lower()]}'?"
    others = f", nor {_some(lacking[1:])}" if len(lacking) > 1 else ""
    raise DataError(
        f"{table.source} has no column '{lacking[0]}'{others}.{near}",
        f"Needed: {_some(needed)}. Found: {_some(table.names)}.",
        "Add it under this name; cells may be empty where the value is unknown.",
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{n}'" for n in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "") or "none"


def _fields(chunk: Mapping[str, Cells], schema: Schema) -> Fields:
    count = len(next(iter(chunk.values()), ()))
    missing: list[Any] = [None] * count
    return Fields({c.name: _decoded(c, chunk.get(c.name, missing), schema) for c in schema.columns})


def _decoded(column: Column, cells: Cells, schema: Schema) -> Array:
    if column.kind == "number":
        return numbers(cells)
    if column.kind == "boolean":
        return booleans(cells)
    if column.kind == "date":
        return days(cells, schema.options.get("dates", {}).get(column.name, ""))
    return signs(cells) if "-" in column.levels else text(cells)


def _called(source: Source) -> str:
    return f"'{Path(source).name}'" if isinstance(source, str | os.PathLike) else f"A {type(source).__name__}"
