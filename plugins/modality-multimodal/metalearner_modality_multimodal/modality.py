"""The modality "multimodal": a table some of whose columns are texts, pictures or recordings, each read by its own modality."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import Array, Fields
from metalearner.errors import DataError
from metalearner.kinds import Cell, Modality, Source, Transform
from metalearner.records import Column, Schema, View
from metalearner.tables import Table, open_table

from .parts import PLAIN, Part, claimed, decoded, flag, plain, whose

PLAIN_VIEW = "table"


class Multimodal(Modality):
    """Rows of several kinds of data at once."""

    name = "multimodal"
    transform = "multimodal"
    others: Mapping[str, Modality] = {}

    def meet(self, modalities: Mapping[str, Modality], transforms: Mapping[str, Transform]) -> None:
        """Keep those that read the parts."""
        self.others = {name: one for name, one in modalities.items() if name != self.name}

    def sniff(self, source: Source) -> Schema | None:
        """Tables of any form with columns of at least two kinds, not counting the target; None for all else."""
        if PLAIN not in self.others or (isinstance(source, str | os.PathLike) and Path(source).is_dir()):
            return None
        try:
            table = open_table(source)
        except DataError:  # those who read tables say it
            return None
        if table is None:
            return None
        base = _base(source) or Path()
        head = {name: _list(column) for name, column in next(iter(table.read(table.names)), {}).items()}
        readers = {name: one for name, column in head.items() if (one := whose(name, column, base, self.others))}
        if not readers:  # most tables: nothing else is read
            return None
        cells = _all(table)
        parts = [p for name, one in readers.items() if (p := claimed(name, one, cells[name], base))]
        special = {part.column for part in parts}
        rest = {name: column for name, column in cells.items() if name not in special}
        beside = self._plain(rest) if parts and rest else None
        if beside is None or not (len(parts) > 1 or _usable(beside) > 1):
            return None
        return _schema(table, parts, beside, cells)

    def decode(self, source: Source, schema: Schema) -> Iterator[Fields]:
        """Chunks: each part as its modality decodes it, plain columns as tables do; what is missing or broken is empty."""
        table = open_table(source)
        if table is None:
            raise DataError(
                f"{_called(source)} is no table.", "Rows with several kinds of data come in one.", "Give a CSV or rows."
            )
        if isinstance(source, list) and not source:
            yield self._fields(schema, {}, 0, None)
            return
        chunks = 0
        for chunk in table.read(table.names):
            chunks += 1
            yield self._fields(schema, chunk, len(next(iter(chunk.values()), ())), _base(source))
        if not chunks:
            yield self._fields(schema, {}, 0, None)

    def views(self, schema: Schema) -> dict[str, View]:
        """Those of every part, under the name of its column, and of the plain ones."""
        found: dict[str, View] = {}
        for part in Part.all_of(schema):
            own = self.others[part.modality].views(part.schema)
            found |= {view_name(part.column, name, own): view for name, view in own.items()}
        rest = plain(schema)
        return found | (self.others[PLAIN].views(rest) if rest else {})

    def cells(self, schema: Schema) -> dict[str, Cell]:
        """Those of every part, under the name of its column; what is made of it beside is not asked for."""
        parts = Part.all_of(schema)
        made = {name for part in parts for name in (flag(part.column), *part.names.values())}
        found = {name: Cell() for name in schema.names if name not in made}
        return found | {part.column: self.others[part.modality].cells(part.schema)[part.inner] for part in parts}

    def features(self, fields: Fields, schema: Schema) -> dict[str, np.ndarray]:
        """Those of every part, under the name of its column."""
        found: dict[str, np.ndarray] = {}
        for part in Part.all_of(schema):
            if part.column in fields:
                own = self.others[part.modality].features(part.fields(fields), part.schema)
                found |= {f"{part.column}: {name}": values for name, values in own.items()}
        rest = plain(schema)
        return found | (self.others[PLAIN].features(fields, rest) if rest else {})

    def _plain(self, cells: Mapping[str, Sequence[Any]]) -> Schema | None:
        import pandas as pd

        return self.others[PLAIN].sniff(pd.DataFrame(dict(cells)))

    def _fields(self, schema: Schema, chunk: Mapping[str, Any], rows: int, base: Path | None) -> Fields:
        import pandas as pd

        found: dict[str, Array] = {}
        missing: list[Any] = [None] * rows
        present: dict[str, np.ndarray] = {}
        for part in Part.all_of(schema):
            cells = _list(chunk.get(part.column, missing))
            read, there = decoded(part, self.others[part.modality], cells, base)
            found |= read
            present[flag(part.column)] = there
        rest = plain(schema)
        if rest is not None:
            given = {c.name: _list(chunk.get(c.name, missing)) for c in rest.columns if c.name not in present}
            own = replace(rest, columns=tuple(c for c in rest.columns if c.name not in present))
            source = pd.DataFrame(given) if rows else []
            if own.columns:
                found |= Fields.concat(list(self.others[PLAIN].decode(source, own)))
            found |= {name: there.astype(float) for name, there in present.items() if name in rest.names}
        return Fields({name: found[name] for name in schema.names})


def view_name(column: str, name: str, own: Mapping[str, Any]) -> str:
    """What the view of a part is called: after its column.

    >>> view_name("photo", "image", {"image": 1}), view_name("clip", "low", {"low": 1, "high": 1})
    ('photo', 'clip low')
    """
    shown = column if column != PLAIN_VIEW else f"{column} ({name})"
    return shown if len(own) == 1 else f"{shown} {name}"


def _schema(table: Table, parts: Sequence[Part], beside: Schema, cells: Mapping[str, Sequence[Any]]) -> Schema:
    by_name = {part.column: part for part in parts}
    rows = max((len(column) for column in cells.values()), default=0)
    columns = []
    for name in table.names:
        if name not in by_name:
            columns.append(beside.column(name))
            continue
        part = by_name[name]
        gone = 1 - part.schema.rows / max(1, rows)
        columns += [replace(own, name=part.names[own.name], missing=gone) for own in part.schema.columns]
        if gone > 0:  # where something is missing at times, that it is may tell
            columns.append(Column(flag(name), "boolean"))
    options = {
        "parts": [part.to_json() for part in parts],
        "plain": dict(beside.options),
        "form": table.options.get("form", ""),
    }
    return Schema("multimodal", table.source, rows, tuple(columns), options, beside.target_hint)


def _usable(schema: Schema) -> int:
    """Plain columns that a model may look at, or that may be the target."""
    return sum(not c.left_out for c in schema.columns)


def _all(table: Table) -> dict[str, list[Any]]:
    cells: dict[str, list[Any]] = {name: [] for name in table.names}
    for chunk in table.read(table.names):
        for name, column in chunk.items():
            cells[name] += _list(column)
    return cells


def _base(source: Source) -> Path | None:
    """From where files are found: the table's folder, for a DataFrame here; None where rows may be a stranger's."""
    if isinstance(source, list):
        return None
    return Path(str(source).partition("::")[0]).parent if isinstance(source, str | os.PathLike) else Path()


def _list(cells: Any) -> list[Any]:
    return cells.tolist() if isinstance(cells, np.ndarray) else list(cells)


def _called(source: Source) -> str:
    return f"'{Path(source).name}'" if isinstance(source, str | os.PathLike) else f"A {type(source).__name__}"
