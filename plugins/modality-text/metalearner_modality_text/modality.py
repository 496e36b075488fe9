"""The modality "text": recognises texts in a table or a folder, reads them, and says what lies beside them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import Array, Fields, Ragged
from metalearner.errors import DataError, nearest
from metalearner.kinds import Modality, Source
from metalearner.records import Axis, Column, Schema, View
from metalearner.tables import Table, labels, open_table
from metalearner.tables.rows import hold_arrays

from . import folders
from .marks import MARKS, MOST_WORDS, measured, view_names
from .texts import Counts, are_texts, packed, unpacked, written

LOOKED_AT = 500  # cells of each column
CHUNK = 2000  # files
TEXT, LABEL = "text", "label"  # what the columns of a folder are called


class TextModality(Modality):
    """Texts: one or more columns of UTF-8 bytes, and what is known of each row."""

    name = "text"
    transform = "text-marks"

    def sniff(self, source: Source) -> Schema | None:
        """Tables of any form with columns of texts, folders of class folders of text files; None for all else."""
        path = Path(source) if isinstance(source, str | os.PathLike) else None
        if path is not None and path.is_dir():
            listed = folders.listing(path)
            if listed is None:
                return None
            counts = folders.counted(listed.files)
            if counts.empty == len(listed.files):
                raise DataError(
                    f"All {counts.empty} text files in '{path.name}' are empty.",
                    "There must be something to learn from.",
                    "Check how they were written.",
                )
            columns = (Column(TEXT, "text", note=counts.note), labels.column(LABEL, listed.labels))
            return Schema("text", path.name, len(listed.files), columns, {"form": "folder"}, LABEL)
        if isinstance(source, list) and (not source or hold_arrays(source)):
            return None
        table = open_table(source)
        return None if table is None else _of_table(table)

    def decode(self, source: Source, schema: Schema) -> Iterator[Fields]:
        """Chunks of texts as Ragged bytes; of the columns beside them str or float64, by their kind."""
        path = Path(source) if isinstance(source, str | os.PathLike) else None
        if path is not None and path.is_dir():
            yield from _of_folder(path, schema)
            return
        if isinstance(source, list) and not source:
            yield _fields(schema, {}, 0)
            return
        table = open_table(source)
        if table is None:
            raise DataError(
                f"{'A list' if path is None else repr(path.name)} holds no texts.",
                "Texts come in a table, or in a folder of class folders.",
                "Give rows of the same kind as the model was trained on.",
            )
        _check(table, schema)
        chunks = 0
        for chunk in table.read([name for name in schema.names if name in table.names]):
            chunks += 1
            yield _fields(schema, chunk, len(next(iter(chunk.values()), ())))
        if not chunks:
            yield _fields(schema, {}, 0)

    def views(self, schema: Schema) -> dict[str, View]:
        """A view of each column of texts: about as many marks and words as `text-marks` will give."""
        names = [c.name for c in schema.columns if c.kind == "text"]
        return {name: View((Axis("columns", len(MARKS) + MOST_WORDS),), 1, raw="text") for name in view_names(names)}

    def features(self, fields: Fields, schema: Schema) -> dict[str, np.ndarray]:
        """How long texts are and what they are made of."""
        found = {}
        texts = [c.name for c in schema.columns if c.kind == "text" and c.name in fields]
        for name in texts:
            column = fields[name]
            assert isinstance(column, Ragged), "texts are bytes of unequal length"
            table = measured(unpacked(column))
            before = f"{name}: " if len(texts) > 1 else ""
            found |= {before + mark: table[:, j] for j, mark in enumerate(MARKS)}
        return found


def _of_table(table: Table) -> Schema | None:
    """None where the first cells of no column are texts."""
    texts: list[str] = []
    cells: dict[str, list[Any]] = {name: [] for name in table.names}
    counts: dict[str, Counts] = {}
    rows = 0
    for n, chunk in enumerate(table.read(table.names)):
        if not n:
            texts = [name for name in table.names if are_texts(list(chunk[name][:LOOKED_AT]))]
            if not texts:
                return None
            counts = {name: Counts() for name in texts}
        rows += len(next(iter(chunk.values())))
        for name in table.names:
            if name in counts:
                for cell in chunk[name]:
                    counts[name].add(cell)
            else:
                cells[name] += list(chunk[name])
    beside = [name for name in table.names if name not in texts]
    if not beside:
        raise DataError(
            f"{table.source} has no column beside the texts in {', '.join(texts)}.",
            "Labels are needed to learn from.",
            "Add them as a further column.",
        )
    extra = "not part of the text, left out" if len(beside) > 1 else ""
    columns = [
        Column(name, "text", note=counts[name].note) if name in texts else labels.column(name, cells[name], extra)
        for name in table.names
    ]
    hint = labels.target_hint(beside)
    return Schema("text", table.source, rows, tuple(columns), dict(table.options), hint)


def _of_folder(path: Path, schema: Schema) -> Iterator[Fields]:
    listed = folders.listing(path)
    if listed is None:
        files = tuple(sorted(p for p in path.iterdir() if p.suffix.lower() in folders.SUFFIXES))
        if not files:
            raise DataError(
                f"There are no text files in '{path.name}'.", "", "Give a folder of .txt files, or a table."
            )
        listed = folders.Listing(files, ("",) * len(files))
    text = next(c.name for c in schema.columns if c.kind == "text")
    label = schema.target_hint or LABEL
    for start in range(0, len(listed.files), CHUNK):
        part = slice(start, start + CHUNK)
        chunk = {text: list(folders.read(listed.files[part])), label: listed.labels[part]}
        yield _fields(schema, chunk, len(chunk[text]))


def _fields(schema: Schema, chunk: Mapping[str, Sequence[Any]], rows: int) -> Fields:
    """The columns of the schema; those no model looks at need not be there."""
    found: dict[str, Array] = {}
    for column in schema.columns:
        cells = chunk.get(column.name, [None] * rows)
        found[column.name] = (
            packed(map(written, cells)) if column.kind == "text" else labels.decoded(column.kind, cells)
        )
    return Fields(found)


def _check(table: Table, schema: Schema) -> None:
    """DataError when a column that is needed is not there; of several texts one may be missing, and is empty then."""
    texts = [c.name for c in schema.columns if c.kind == "text"]
    needed = [c.name for c in schema.columns if c.kind == "text" or (c.name == schema.target_hint)]
    lacking = [name for name in needed if name not in table.names]
    if lacking and {*lacking} < {*texts}:
        logging.getLogger(__name__).warning(
            "%s has no column %s: of %s, these texts are empty in all rows",
            table.source, " and ".join(map(repr, lacking)), " and ".join(map(repr, texts)),
        )  # fmt: skip
    elif lacking:
        raise DataError(
            f"{table.source} has no column '{lacking[0]}'.{nearest(lacking[0], table.names)}",
            f"Needed: {', '.join(needed)}. Found: {', '.join(table.names)}.",
            "Add it under this name; cells may be empty where there is no text.",
        )
