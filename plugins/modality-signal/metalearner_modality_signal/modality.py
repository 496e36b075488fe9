"""The modality "signal": recognises a source, reads it in chunks, and says which axes it has."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import Array, Fields, Ragged
from metalearner.errors import DataError
from metalearner.kinds import Cell, Modality, Source
from metalearner.records import Axis, Column, Schema, View
from metalearner.tables import is_frame

from . import heard, logmel, npz, recordings, rows, ts
from .features import features
from .labels import as_numbers, as_text, column
from .layout import layout
from .samples import Samples, clean, conform

CHUNK = 1 << 22  # numbers decoded at once


class SignalModality(Modality):
    """Series, recordings and any numeric array: columns "signal" and its label."""

    name = "signal"
    transform = "signal-scaling"

    def sniff(self, source: Source) -> Schema | None:
        """NPZ, `.ts`, WAV sets, or JSON rows with "signal"; None for all else."""
        if isinstance(source, list):
            if not source or not all(isinstance(row, Mapping) and "signal" in row for row in source):
                return None
            return _schema(rows.read(source, "label"), "rows", "rows")
        path = _path(source)
        if is_frame(source):
            named = recordings.listing(source)
            return None if named is None else _schema_of_recordings(named, "DataFrame")
        if path is None or not path.exists():
            return None
        if series := _series(path):
            test = {"test_file": series[1]} if series[1] else {}
            return _schema(ts.read(series[0]), str(path), "ts", test)
        if path.suffix.lower() == ".npz":
            return _schema(npz.read(path), str(path), "npz", npz.parts(path)) if npz.claims(path) else None
        found = recordings.listing(path)
        return None if found is None else _schema_of_recordings(found, str(path))

    def decode(self, source: Source, schema: Schema) -> Iterator[Fields]:
        """Chunks of float32 signals, Ragged where lengths differ, and labels as str or float64."""
        options, label = schema.options, next((n for n in schema.names if n not in ("signal", heard.COLUMN)), "")
        for samples in _read(source, options, label, "signal" in schema.names):
            if label and samples.labels is None:
                raise DataError(
                    f"The source has no column '{label}'.",
                    "The schema names it.",
                    "Add the labels, or predict instead.",
                )
            signal = conform(samples, options) if "signal" in schema.names else samples.signal
            step = max(1, CHUNK * len(signal) // max(1, _size(signal)))
            for start in range(0, max(1, len(signal)), step):
                rows_ = np.arange(start, min(start + step, len(signal)))
                part: dict[str, Array] = {}
                if "signal" in schema.names:
                    part["signal"] = signal.take(rows_) if isinstance(signal, Ragged) else signal[rows_]
                if heard.COLUMN in schema.names and samples.heard is not None:
                    part[heard.COLUMN] = samples.heard.take(rows_) if len(rows_) else heard.NOTHING
                if label and samples.labels is not None:
                    number = schema.column(label).kind == "number"
                    labels = samples.labels[rows_]
                    part[label] = as_numbers(label, labels) if number else as_text(labels)
                yield Fields(part)

    def views(self, schema: Schema) -> dict[str, View]:
        """The view "signal": its axes, channels last."""
        options = schema.options
        axes = tuple(Axis(a["kind"], a["size"], options["ragged"]) for a in options["axes"])
        return {"signal": View(axes, options["channels"], raw=heard.raw(options), channel_kind=logmel.kind(options))}

    def cells(self, schema: Schema) -> dict[str, Cell]:
        """Recordings as files, all else as numbers in the axes that the source had."""
        options = schema.options
        shape = (None, options["channels"]) if options["ragged"] else tuple(options["shape"])
        signal = Cell("recording") if "rate" in options else Cell("numbers", shape)
        return {name: signal if name == "signal" else Cell() for name in schema.names if name != heard.COLUMN}

    def features(self, fields: Fields, schema: Schema) -> dict[str, np.ndarray]:
        """Mean, deviation, extremes and lag-1 correlation a channel, and the length where it varies."""
        return features(fields, schema)


def _path(source: Source) -> Path | None:
    return Path(source) if isinstance(source, str | os.PathLike) else None


def _series(path: Path) -> tuple[Path, str] | None:
    """The `.ts` file a path means, and the test file beside it."""
    if path.is_dir():
        return ts.source_in(path)
    return (path, "") if path.suffix.lower() == ".ts" else None


def _read(source: Source, options: Mapping[str, Any], label: str, signals: bool) -> Iterator[Samples]:
    """Whatever form the source has, its samples."""
    if isinstance(source, list):
        yield rows.read(source, label, options)
        return
    path = _path(source)
    if path is None and is_frame(source):
        yield from _recordings(source, "The DataFrame", options, label, signals)
        return
    if path is None or not path.exists():
        raise DataError(
            f"There is no signal source '{source}'.", "A path or a list of JSON rows is expected.", "Check the path."
        )
    if series := _series(path):
        yield ts.read(series[0])
    elif path.suffix.lower() == ".npz":
        yield npz.read(path)
    else:
        yield from _recordings(path, f"'{path.name}'", options, label, signals)


def _recordings(source: Any, called: str, options: Mapping[str, Any], label: str, signals: bool) -> Iterator[Samples]:
    columns = {
        "path_column": options.get("path_column", ""),
        "label_column": label if "path_column" in options else "",
    }
    found = recordings.listing(source, **columns)
    if found is None or "rate" not in options:
        raise DataError(f"{called} holds no signals of the kind the schema names.", *_FORMS)
    # a row left out of a set with labels is one fewer to learn from; of rows to predict each needs an answer
    yield from recordings.read(found, options, skipping=bool(label) and signals)


_FORMS = (
    "Signals come as NPZ, .ts, WAV recordings or JSON rows.",
    "Give a source of the same form as the model was trained on.",
)


def _size(signal: Array) -> int:
    return int(signal.values.size if isinstance(signal, Ragged) else signal.size)


def _schema(samples: Samples, source: str, form: str, about: Mapping[str, Any] | None = None) -> Schema:
    """The schema of signals that are in memory."""
    if len(samples.signal) == 0:
        raise DataError(f"{_name(source)} holds no signals.", "There must be rows to learn from.")
    if samples.labels is None:
        raise DataError(f"{_name(source)} holds {len(samples.signal)} signals and no labels.", *_LABELS[form])
    values = samples.signal.values if isinstance(samples.signal, Ragged) else samples.signal
    missing = 1 - float(np.isfinite(clean(values)).mean()) if values.size else 1.0
    if missing == 1:
        raise DataError(f"The signals in {_name(source)} hold no finite number.", "", "Check how they were written.")
    options = {"form": form} | layout(samples.signal, channels_last=form == "ts") | dict(about or {})
    signal = Column("signal", "array", missing=missing, note=_note(options))
    label = column("label", samples.labels, samples.label_kind)
    return Schema("signal", source, len(samples.signal), (signal, label), options, "label")


def _schema_of_recordings(found: recordings.Listing, source: str) -> Schema:
    if found.labels is None:
        raise DataError(
            f"The {len(found.files)} recordings in {_name(source)} have no labels: {found.why}.", *_LABELS["wav"]
        )
    readable, options, note = recordings.measure(found)
    columns = [Column("signal", "array", note=note)]
    columns += [Column(heard.COLUMN, "array")] if heard.COLUMN in options else []
    columns.append(column(found.label_name, found.labels[readable], found.label_kind))
    return Schema("signal", source, len(readable), tuple(columns), {"form": "wav"} | options, found.label_name)


def _name(source: str) -> str:
    return Path(source).name or source


def _note(options: Mapping[str, Any]) -> str:
    """The axes and why they are taken for what they are."""
    told = []
    for axis in options["axes"]:
        z = axis.get("z")
        told.append(f"{axis['kind']} {axis['size']}" + ("" if z is None else f" (locality z {z:.1f})"))
    note = " x ".join(told) + f" x {options['channels']} channels"
    note += ", unequal lengths" if options["ragged"] else ""
    note += ", channels found before time" if options.get("channels_first") else ""
    return note + (f", means of {options['pool']} steps" if options["pool"] > 1 else "")


_LABELS = {
    "npz": (
        "An array named y, label, labels, target or targets (n) holds them.",
        "Save them with numpy.savez(path, x=x, y=y).",
    ),
    "ts": ("@classLabel true a b c, or @targetlabel true, announces them.", "Each line ends with its label."),
    "wav": (
        "Class folders, names such as label_1.wav, or a CSV with a path and a label column give them.",
        "Sort them into folders.",
    ),
    "rows": ("Each row to learn from has 'label'.", 'Try {"signal": [...], "label": "a"}.'),
}
