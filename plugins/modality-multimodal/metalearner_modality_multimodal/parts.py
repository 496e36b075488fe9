"""Which columns of a table are more than cells, who reads each of them, and how its values travel."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import Array, Fields, Ragged
from metalearner.errors import DataError
from metalearner.kinds import Modality
from metalearner.records import Schema

# Cells of a column that are looked at before its kind is asked for in earnest.
LOOKED_AT = 200
# What a column's files are beside, when a modality is asked whether they are its own: it learns from labelled sets.
LABEL = "label of nothing"
# Of the cells that are there, the share that may be broken: they count as missing.
BROKEN = 0.05
PLAIN = "tabular"  # the modality of all other columns


@dataclass(frozen=True)
class Part:
    """One column that is read by a modality of its own."""

    column: str
    schema: Schema  # as that modality sees it, its own column alone

    @property
    def modality(self) -> str:
        """Whose it is."""
        return self.schema.modality

    @property
    def inner(self) -> str:
        """What the modality calls it."""
        return self.schema.columns[0].name

    @property
    def names(self) -> dict[str, str]:
        """What the columns that the modality makes of it are called there and here: itself, and what lies beside it."""
        return {c.name: f"{self.column}: {c.name}" for c in self.schema.columns} | {self.inner: self.column}

    def fields(self, fields: Fields) -> Fields:
        """Its own of all fields, as the modality calls them."""
        return Fields({inner: fields[name] for inner, name in self.names.items()})

    def to_json(self) -> dict[str, Any]:
        """For a schema's options."""
        return {"column": self.column, "schema": self.schema.to_json()}

    @classmethod
    def all_of(cls, schema: Schema) -> list[Part]:
        """The parts of a multimodal schema that are among its columns."""
        found = [cls(p["column"], Schema.from_json(p["schema"])) for p in schema.options["parts"]]
        return [part for part in found if part.column in schema.names]


def plain(schema: Schema) -> Schema | None:
    """What is left for the modality of plain columns; None when nothing is."""
    special = {name for part in Part.all_of(schema) for name in part.names.values()}
    columns = tuple(c for c in schema.columns if c.name not in special)
    if not columns:
        return None
    return Schema(PLAIN, schema.source, schema.rows, columns, schema.options["plain"], schema.target_hint)


def there(cell: Any) -> bool:
    """Whether a cell holds anything."""
    if cell is None or (isinstance(cell, float | np.floating) and not np.isfinite(cell)):
        return False
    return not (isinstance(cell, str) and not cell.strip())


def whose(column: str, cells: Sequence[Any], base: Path, modalities: Mapping[str, Modality]) -> Modality | None:
    """Who reads this column, by the first cells that are there; None where they are plain."""
    first = [cell for cell in cells if there(cell)][:LOOKED_AT]
    if len(first) < 2 or not any(_more(cell) for cell in first[: LOOKED_AT // 4]):
        return None
    others = (m for m in modalities.values() if m.name != PLAIN)
    return next((m for m in others if _asked(m, column, first, base) is not None), None)


def claimed(column: str, modality: Modality, cells: Sequence[Any], base: Path) -> Part | None:
    """The column as its modality sees all of it."""
    schema = _asked(modality, column, [cell for cell in cells if there(cell)], base)
    if schema is None:
        return None
    own = tuple(c for c in schema.columns if c.name != LABEL)
    options = {k: v for k, v in schema.options.items() if k != "beside"}
    return Part(column, Schema(modality.name, column, schema.rows, own, options))


def _more(cell: Any) -> bool:
    """Whether a cell may be more than a word or a number: it has a blank in it, a suffix, or is long."""
    if not isinstance(cell, str):
        return False
    try:
        float(cell)
    except ValueError:
        return " " in cell.strip() or "." in cell[-6:] or len(cell) > 30
    return False


def _asked(modality: Modality, column: str, cells: Sequence[Any], base: Path) -> Schema | None:
    import pandas as pd

    labels = np.arange(len(cells)) % 2
    try:
        found = modality.sniff(pd.DataFrame({column: _placed(cells, base), LABEL: labels.astype(str)}))
    except DataError:
        return None
    return found if found is not None and found.columns[0].name != LABEL else None


def decoded(
    part: Part, modality: Modality, cells: Sequence[Any], base: Path | None
) -> tuple[dict[str, Array], np.ndarray]:
    """The column's fields, and which rows are there (n,). Those missing or broken are empty: zeros, or of no length.

    Where `base` is None the cells come from a stranger: no path in them is opened.
    """
    present = np.array([there(cell) for cell in cells], bool)
    rows = np.flatnonzero(present)
    given = [cells[int(i)] for i in rows]
    try:
        found = _read(part, modality, given, base)
    except DataError as problem:
        found, good = _read_each(part, modality, given, base)
        if (~good).sum() > max(1, BROKEN * len(given)):
            raise problem
        present[rows[~good]] = False
        rows = rows[good]
    return {part.names[inner]: _scattered(values, rows, len(cells)) for inner, values in found.items()}, present


def _read(part: Part, modality: Modality, cells: Sequence[Any], base: Path | None) -> Fields:
    import pandas as pd

    source: Any = [{part.inner: cell, part.column: cell} for cell in cells]
    if base is not None and cells:  # no rows at all are of the column's form only where they are a list
        source = pd.DataFrame({part.column: _placed(cells, base)})
    found = Fields.concat(list(modality.decode(source, part.schema)))
    return Fields({inner: found[inner] for inner in part.names})


def _read_each(part: Part, modality: Modality, cells: Sequence[Any], base: Path | None) -> tuple[Fields, np.ndarray]:
    """Cell by cell, those that can be read, and which they are."""
    found, good = [], np.zeros(len(cells), bool)
    for i, cell in enumerate(cells):
        try:
            found.append(_read(part, modality, [cell], base))
            good[i] = True
        except DataError:
            continue
    return Fields.concat(found or [_read(part, modality, [], base)]), good


def _scattered(values: Array, rows: np.ndarray, total: int) -> Array:
    """Values at these of all rows, emptiness elsewhere."""
    if isinstance(values, Ragged):
        lengths = np.zeros(total, np.int64)
        lengths[rows] = values.lengths
        return Ragged(np.asarray(values.values), np.concatenate([[0], np.cumsum(lengths)]))
    found = np.zeros((total, *values.shape[1:]), values.dtype)
    found[rows] = values
    return found


def _placed(cells: Sequence[Any], base: Path) -> list[Any]:
    """Cells with the files that they name found from where the table lies."""
    return [_path(cell, base) for cell in cells]


def _path(cell: Any, base: Path) -> Any:
    if not isinstance(cell, str) or len(cell) > 1000 or "." not in cell[-6:] or "\n" in cell:
        return cell
    file = base / cell.strip()
    return str(file.absolute()) if os.path.isfile(file) else cell


def flag(name: str) -> str:
    """What the column is called that says whether there is anything in another one."""
    return f"{name} is there"
