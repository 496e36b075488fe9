"""Rows as JSON objects: a list of them in memory, as a server gets it, or a file with one a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .cells import Cells
from .table import CHUNK, Table, column_names, empty

SUFFIXES = (".jsonl", ".ndjson")
LOOKED_AT = 50  # rows


def table(rows: Sequence[Any]) -> Table | None:
    """Open a list of rows; None when it holds something else. A name that only some rows have is missing in others."""
    if not all(isinstance(row, Mapping) for row in rows):
        return None
    keys = list(dict.fromkeys(key for row in rows for key in row))
    names = column_names(keys, "rows")

    def read(wanted: Sequence[str]) -> Iterator[dict[str, Cells]]:
        return _columns(iter(rows), dict(zip(names, keys)), wanted)

    return Table("rows", names, read, {"form": "rows"})


def hold_arrays(rows: Sequence[Mapping[Any, Any]]) -> bool:
    """Whether there are arrays of numbers among the first cells: such rows are signals or pictures."""
    return any(_array(cell) for row in rows[:LOOKED_AT] for cell in row.values())


def lines(path: Path) -> Table:
    """Open a file of one JSON object a line. DataError names the first line that holds none."""
    about = path.stat()
    keys = _keys(path.absolute(), about.st_size, about.st_mtime_ns)
    if not keys:
        raise empty(path.name)
    names = column_names(keys, path.name)

    def read(wanted: Sequence[str]) -> Iterator[dict[str, Cells]]:
        return _columns(_objects(path), dict(zip(names, keys)), wanted)

    return Table(path.name, names, read, {"form": "jsonl"})


@lru_cache(maxsize=16)
def _keys(path: Path, size: int, changed: int) -> tuple[str, ...]:
    """All names in a file; looked for once, since several modalities ask."""
    return tuple(dict.fromkeys(key for row in _objects(path) for key in row))


def _columns(
    rows: Iterator[Mapping[Any, Any]], keys: Mapping[str, Any], wanted: Sequence[str]
) -> Iterator[dict[str, Cells]]:
    while part := list(islice(rows, CHUNK)):
        yield {name: [row.get(keys[name]) for row in part] for name in wanted}


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except (ValueError, RecursionError) as error:  # Unicode and JSON errors are both ValueErrors
                raise _no_object(path, number, f"holds no JSON: {error}") from None
            if not isinstance(row, dict):
                raise _no_object(path, number, f"holds a JSON {type(row).__name__}")
            yield row


def _no_object(path: Path, number: int, what: str) -> DataError:
    return DataError(
        f"Line {number} of {path.name} {what}.",
        "Each line is one row: a JSON object of its cells by column name.",
        'Write {"age": 41, "city": "Bern"} a line.',
    )


def _array(cell: Any) -> bool:
    """Whether a cell is an array of numbers, nested as it may be."""
    if isinstance(cell, np.ndarray):
        return True
    while isinstance(cell, list | tuple) and cell:
        cell = cell[0]
        if isinstance(cell, int | float | np.number):
            return True
    return False
