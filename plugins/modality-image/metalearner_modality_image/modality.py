"""The modality "image": recognises a source, reads it in chunks, and says which size it has."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import Array, Fields
from metalearner.errors import DataError
from metalearner.kinds import Cell, Modality, Source
from metalearner.records import Column, Schema, View
from metalearner.tables import is_frame, labels

from . import archive, folder, listing, paths, rows
from .features import features
from .listing import CHUNK, Batch, Listing
from .pixels import SUFFIXES, Form
from .scaling import picture, seen_size


class ImageModality(Modality):
    """Pictures: a column "image" of uint8 (n, H, W, C) and what is known of each."""

    name = "image"
    transform = "image-scaling"

    def sniff(self, source: Source) -> Schema | None:
        """Folders of class folders, tables with a column of paths, NPZ of bytes; None for all else."""
        if isinstance(source, list):
            _refuse_paths(source)
            return None
        path = _path(source)
        if path is not None and path.suffix.lower() == ".npz" and path.is_file():
            found = archive.find(path)
            return _of_archive(found) if found else None
        listed = _listing(source, claiming=True)
        return _of_listing(listed, "DataFrame" if path is None else str(path)) if listed else None

    def decode(self, source: Source, schema: Schema) -> Iterator[Fields]:
        """Chunks of uint8 (m, H, W, C), and the columns beside it as str or float64.

        With all columns of the schema the rows are there to learn from: files that cannot be read are left out, up
        to 5 %. Without the target each row needs an answer, and the first such file is a DataError.
        """
        form = Form.of(schema.options)
        beside = schema.options.get("beside", ())
        labelled = bool(beside) and set(beside) <= set(schema.names)
        empty = True
        for images, columns in _batches(source, schema, form, labelled):
            if labelled:
                _check(schema, columns, list(beside))
            empty = False
            yield _fields(schema, images, columns)
        if empty:
            yield _fields(schema, np.zeros((0, *form.shape), np.uint8), {})

    def views(self, schema: Schema) -> dict[str, View]:
        """The view "image": height x width x channels."""
        form = Form.of(schema.options)
        return {"image": picture(seen_size(form.height, form.width), form.channels)}

    def cells(self, schema: Schema) -> dict[str, Cell]:
        """A picture of any size, which is brought to that of the model."""
        return {**super().cells(schema), "image": Cell("picture", Form.of(schema.options).shape)}

    def features(self, fields: Fields, schema: Schema) -> dict[str, np.ndarray]:
        """Brightness, contrast and edge energy; of colour images also the channels' means and saturation."""
        images = fields["image"]
        assert isinstance(images, np.ndarray), "images are of one size"
        return features(images)


def _path(source: Source) -> Path | None:
    return Path(source) if isinstance(source, str | os.PathLike) else None


def _listing(source: Source, options: Mapping[str, Any] | None = None, claiming: bool = False) -> Listing | None:
    """The picture files of a folder, a table or a path of one; None when the source holds none."""
    path_column, levels = (options or {}).get("path_column", ""), (options or {}).get("levels", ())
    path = _path(source)
    if path is not None and path.is_dir():
        return folder.listing(path, levels)
    if path is not None and path.suffix.lower() in SUFFIXES and path.exists():
        return Listing(path.name, (path,), (path.name,), {}, unlabelled=(f"{path.name} is a single image.", *_SETS))
    return paths.listing(source, path_column, claiming)


def _batches(source: Source, schema: Schema, form: Form, labelled: bool) -> Iterator[Batch]:
    """Pixels and raw columns of any source."""
    label = _label(schema)
    path = _path(source)
    if isinstance(source, list):
        yield from _of_rows(rows.cells(source), source, schema, form)
        return
    if path is not None and path.suffix.lower() == ".npz" and path.is_file():
        found = archive.find(path, claiming=False)
        assert found is not None, "without claiming there is an archive or an error"
        images, values = archive.load(found, labelled)
        start = 0
        for part in archive.read(images, form):
            stop = start + len(part)
            yield part, {} if values is None else {label: values[start:stop].tolist()}
            start = stop
        return
    levels = schema.column(label).levels if label in schema.names else ()
    listed = _listing(source, {**schema.options, "levels": levels})
    if listed is None and is_frame(source) and "image" in source.columns:
        frame = source.to_dict("records")
        yield from _of_rows([row["image"] for row in frame], frame, schema, form, trusted=True)
        return
    if listed is None:
        what = f"'{source}'" if path is not None else f"A {type(source).__name__}"
        absent = path is not None and not path.exists()
        raise DataError(f"There is no '{source}'." if absent else f"{what} holds no images.", *_SETS)
    if labelled and not listed.columns:
        raise DataError(*listed.unlabelled)
    for part, columns in listing.read(listed, form, skipping=labelled):
        own = listed.options.get("form") == "folder"  # a folder does not say what its classes are a class of
        yield part, {label: columns["label"]} if own and "label" in columns else columns


def _of_rows(
    cells: Sequence[Any], table: Sequence[Mapping[str, Any]], schema: Schema, form: Form, trusted: bool = False
) -> Iterator[Batch]:
    wanted = [name for name in schema.names if name != "image" and any(name in row for row in table)]
    for start in range(0, len(cells), CHUNK):
        part = cells[start : start + CHUNK]
        images = [rows.image(start + i, cell, form, trusted) for i, cell in enumerate(part, 1)]
        yield np.stack(images), {n: [row.get(n) for row in table[start : start + CHUNK]] for n in wanted}


def _fields(schema: Schema, images: np.ndarray, columns: Mapping[str, Sequence[Any]]) -> Fields:
    """The columns of the schema; those no model looks at need not be there."""
    unknown = [None] * len(images)
    found: dict[str, Array] = {}
    for column in schema.columns:
        if column.name == "image":
            found["image"] = images
        else:
            found[column.name] = labels.decoded(column.kind, columns.get(column.name, unknown))
    return Fields(found)


def _check(schema: Schema, columns: Mapping[str, Sequence[Any]], beside: Sequence[str]) -> None:
    """DataError when the target is not there."""
    needed = [schema.target_hint] if schema.target_hint in schema.names else [n for n in beside if n not in columns]
    if needed and needed[0] not in columns and (schema.target_hint or len(needed) == len(beside)):
        held = ", ".join(columns) or "none beside the image"
        raise DataError(
            f"The source has no column '{needed[0]}'.", f"It has {held}.", "Add the labels, or predict instead."
        )


def _label(schema: Schema) -> str:
    """What the labels of a source without column names are called in this schema."""
    beside = schema.options.get("beside", ())
    return schema.target_hint or (beside[0] if beside else "label")


def _of_listing(found: Listing, source: str) -> Schema:
    if not found.columns:
        raise DataError(*found.unlabelled)
    readable, broken = listing.check(found)
    seen = listing.looks(found, readable)
    options = listing.survey(seen, len(readable))
    note = listing.note(options, seen)
    if broken:
        note += f"; unreadable: {listing.some(broken)}"
    if len(found.files) > listing.CHECKED:
        note += f"; {listing.CHECKED} of {len(found.files)} files were tried"
    names = list(found.columns)
    hint = labels.target_hint(names)
    extra = "not part of the image, left out" if len(names) > 1 else ""
    columns = [Column("image", "array", note=note)]
    columns += [labels.column(name, [found.columns[name][i] for i in readable], extra) for name in names]
    options |= {**found.options, "beside": names, "skipped": len(broken), "skipped_names": broken[: listing.NAMED]}
    return Schema("image", source, len(readable), tuple(columns), options, hint)


def _of_archive(found: archive.Archive) -> Schema:
    if found.labels is None:
        raise DataError(
            f"'{found.images.key}' in {found.path.name} holds {found.images.shape[0]} images, and there are no labels.",
            "An array named y, label, labels, target or targets (n) holds them.",
            "Save them with numpy.savez(path, x=images, y=labels).",
        )
    images, values = archive.load(found, labelled=True)
    if not len(images) or values is None:
        raise DataError(f"{found.path.name} holds no images.", "There must be rows to learn from.", "")
    seen, depth = archive.looks(images)
    options = listing.survey(seen, len(images)) | {"form": "npz", "beside": ["label"], "skipped": 0}
    note = listing.note(options, seen)
    if depth:
        options["depth"] = list(depth)
        note += f", {depth[0]:g} is black and {depth[1]:g} white"
    if found.ignored:
        options["test_keys"] = list(found.ignored)
        note += f"; {' and '.join(found.ignored)} are ignored, --test takes them from a file of their own"
    columns = (Column("image", "array", note=note), labels.column("label", values.tolist()))
    return Schema("image", str(found.path), len(images), columns, options, "label")


def _refuse_paths(source: Sequence[Any]) -> None:
    """A list of rows is there to be predicted; that its paths are not opened is said to who would learn from it."""
    cells = [row["image"] for row in source if isinstance(row, Mapping) and "image" in row]
    if cells and len(cells) == len(source) and paths.names_pictures(cells, Path()):
        raise DataError(
            "The column 'image' of these rows holds paths.",
            "Rows in a list may come from a stranger: they hold images, and no path in them is opened.",
            "Give them as a DataFrame: pandas.DataFrame(rows).",
        )


_SETS = (
    "Images come as a folder of class folders, a CSV with a column of paths, an NPZ, or JSON rows.",
    "Put each class in a folder of its own, or give a CSV with a column of paths and one of labels.",
)
