"""A table in an SQLite file, named as `file.db::table` where there are several."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from ..errors import DataError, unknown
from .cells import Cells
from .table import CHUNK, Table, column_names, empty

SUFFIXES = (".db", ".sqlite", ".sqlite3")
_MAGIC = b"SQLite format 3\0"


def table(path: Path, name: str = "") -> Table | None:
    """Open a table or view; None when the file is of another kind.

    Raises DataError when the file has no table, several and none is named, or none of that name.
    """
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
    if not head:
        raise empty(path.name)
    if head != _MAGIC:
        return None
    try:
        with closing(_connect(path)) as connection:
            chosen = _choose(connection, path, name)
            found = [row[1] for row in connection.execute(f"PRAGMA table_info({_quoted(chosen)})")]
    except sqlite3.Error as error:
        raise _broken(path, error) from None
    source = f"{path.name}::{chosen}"
    names = column_names(found, source)
    stored = dict(zip(names, found))

    def read(wanted: Sequence[str]) -> Iterator[dict[str, Cells]]:
        columns = ", ".join(_quoted(stored[n]) for n in wanted)
        try:
            with closing(_connect(path)) as connection:
                rows = connection.execute(f"SELECT {columns} FROM {_quoted(chosen)}")
                while part := rows.fetchmany(CHUNK):
                    yield dict(zip(wanted, map(list, zip(*part))))
        except sqlite3.Error as error:
            raise _broken(path, error) from None

    return Table(source, names, read, {"form": "sqlite", "table": chosen})


def _choose(connection: sqlite3.Connection, path: Path, name: str) -> str:
    """The table that is meant."""
    listed = connection.execute("SELECT name, type FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
    kinds = {n: kind for n, kind in listed if kind in ("table", "view")}
    if name:
        if name not in kinds:
            happened, known, _ = unknown("table", name, kinds)
            raise DataError(happened, known, f"Name one as {path.name}::TABLE.")
        return name
    tables = [n for n, kind in kinds.items() if kind == "table"]
    if not tables:
        raise empty(path.name, "holds no table")
    if len(tables) > 1:
        raise DataError(
            f"{path.name} holds {len(tables)} tables: {', '.join(sorted(tables)[:12])}.",
            "One of them must be named.",
            f"Try {path.name}::{sorted(tables)[0]}.",
        )
    return tables[0]


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True)
    # text of another encoding is better read with marks than not at all
    connection.text_factory = lambda raw: raw.decode("utf-8", errors="replace")
    return connection


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _broken(path: Path, error: sqlite3.Error) -> DataError:
    return DataError(f"{path.name} cannot be read as SQLite: {error}.", "", "Check the file, or give a CSV.")
