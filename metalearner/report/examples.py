"""Single rows as they are: values, pictures, series. For the worst errors, and for a first look at data."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Array, Fields
from ..dataset import Dataset
from ..evaluate import Answers
from ..kinds import Modality, Output
from ..pictures import Picture, Series
from ..plugins import Registry
from ..records import Record, Schema, plain
from ..runs import ANSWERS, HELD

# Values of a series that are drawn, and channels; characters of a cell.
MOST_STEPS, MOST_CHANNELS, MOST_LETTERS = 240, 4, 300
EPOCH = datetime(1970, 1, 1)
# Pixels a side of a picture in a page.
MOST_PIXELS = 128


@dataclass(frozen=True)
class Example(Record):
    """One row: plain values by column, pictures as data URIs, series as pictures to draw; and what was said of it."""

    row: int
    values: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    series: Mapping[str, Picture] = field(default_factory=dict)
    truth: str = ""
    said: str = ""


def examples(fields: Fields, rows: Sequence[int] | np.ndarray) -> list[Example]:
    """The rows at these places."""
    return [_example(fields, int(row)) for row in rows]


def worst(run: Path, registry: Registry, count: int = 8) -> list[Example]:
    """The rows of the test that a finished run's model got most wrong, worst first; empty where the run kept none."""
    if not _kept(run, ANSWERS):
        return []
    answers, dataset, fields = _measured(run)
    output = registry.get("outputs", dataset.task.output)
    wrong = output.errors(dataset.state, answers.target, answers.prediction)
    order = np.array([i for i in np.argsort(-wrong, kind="stable")[:count] if wrong[i] > 0], int)
    return _told(answers, dataset, output, fields, order)


def denied(run: Path, registry: Registry, count: int = 8) -> list[Example]:
    """Rows learnt from whose target models that had not seen them deny, the surest first; empty where they are few."""
    if not _kept(run, HELD):
        return []
    answers, dataset = Answers.open(run / HELD), Dataset.open(run / "data")
    output = registry.get("outputs", dataset.task.output)
    found = output.denied(dataset.state, answers.target, answers.prediction)
    if found is None or not found.many:
        return []
    return _told(answers, dataset, output, dataset.fields, found.rows[:count])


def held(run: Path, registry: Registry, count: int = 12) -> list[tuple[Example, dict[str, Any]]]:
    """Rows, evenly spaced, of those that measured a finished run's model, each beside the JSON row that a client would send.

    Empty where the run kept none, or where what is decoded cannot be sent as it is (series that were thinned out, say).
    """
    if not _kept(run, ANSWERS):
        return []
    answers, dataset, fields = _measured(run)
    output, modality = registry.get("outputs", dataset.task.output), registry.get("modalities", dataset.task.modality)
    rows = np.unique(np.linspace(0, len(answers.rows) - 1, count).astype(int))
    truth = output.words(dataset.state, answers.target[rows])
    found = []
    for example, word in zip(examples(fields, answers.rows[rows]), truth):
        sent = {
            name: _sent(dataset.schema.column(name).kind, fields[name][example.row])
            for name in modality.cells(dataset.schema)
        }
        if _same(modality, dataset.schema, sent, fields.take(np.array([example.row]))):
            found.append((replace(example, truth=word), sent))
    return found


def outcome(run: Path, registry: Registry) -> list[Picture]:
    """What right and wrong predictions of a finished run look like."""
    if not _kept(run, ANSWERS):
        return []
    answers, dataset = Answers.open(run / ANSWERS), Dataset.open(run / "data")
    output = registry.get("outputs", dataset.task.output)
    return list(output.pictures(dataset.state, answers.target, answers.prediction))


def _kept(run: Path, predictions: str) -> bool:
    """Whether both predictions and the data they are of are there."""
    return (run / predictions).exists() and (run / "data" / "dataset.json").exists()


def _measured(run: Path) -> tuple[Answers, Dataset, Fields]:
    """What was predicted, and the decoded rows that its places are places of."""
    answers, dataset = Answers.open(run / ANSWERS), Dataset.open(run / "data")
    sealed = answers.split == "sealed test"
    return answers, dataset, Fields.open(run / "data" / "sealed" / "fields") if sealed else dataset.fields


def _told(answers: Answers, dataset: Dataset, output: Output, fields: Fields, order: np.ndarray) -> list[Example]:
    """Rows as they are, with their target and what was predicted."""
    truth = output.words(dataset.state, answers.target[order])
    said = output.table(dataset.state, answers.prediction[order])["prediction"]
    shown = [v if isinstance(v, str) else f"{v:.5g}" for v in said.tolist()]
    found = examples(fields, answers.rows[order])
    return [replace(e, truth=t, said=s) for e, t, s in zip(found, truth, shown)]


def _sent(kind: str, cell: Any) -> Any:
    """A decoded cell as JSON has it."""
    if np.ndim(cell):
        return _text(cell) if _written(cell) else plain(cell)
    value = plain(cell)
    return str(EPOCH + timedelta(days=value)) if kind == "date" and value is not None else value


def _same(modality: Modality, schema: Schema, sent: Mapping[str, Any], fields: Fields) -> bool:
    """Whether a JSON row is read as the one row of `fields`."""
    try:
        again = Fields.concat(list(modality.decode([sent], schema)))
    except Exception:  # whatever a plugin's modality does not read is not offered
        return False
    return all(_equal(again[name][0], column[0]) for name, column in fields.items())


def _equal(one: Any, other: Any) -> bool:
    if np.asarray(one).dtype.kind == "U":
        return str(one) == str(other)
    return np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=1e-9, equal_nan=True)


def _example(fields: Fields, row: int) -> Example:
    values: dict[str, Any] = {}
    images: dict[str, str] = {}
    series: dict[str, Picture] = {}
    for name, column in fields.items():
        cell = column[row]
        if np.ndim(cell) == 0:
            values[name] = _plain(cell)
        elif _written(cell):
            values[name] = _text(cell)[:MOST_LETTERS]
        elif _pictorial(cell):
            images[name] = png(fitted(np.asarray(cell)))
        else:
            series[name] = _line(name, column, np.asarray(cell, float))
    return Example(row, values, images, series)


def _plain(cell: Any) -> Any:
    value = cell.item() if hasattr(cell, "item") else cell
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value[:MOST_LETTERS] if isinstance(value, str) else value


def _written(cell: Any) -> bool:
    """Bytes in a row: a text."""
    return cell.dtype == np.uint8 and cell.ndim == 1


def _text(cell: np.ndarray) -> str:
    return cell.tobytes().decode("utf-8", "replace")


def _pictorial(cell: Any) -> bool:
    """Bytes with a height and a width."""
    return cell.dtype == np.uint8 and cell.ndim in (2, 3) and min(cell.shape[:2]) >= 4


def fitted(cell: np.ndarray) -> np.ndarray:
    """Bytes (h, w) or (h, w, c) as (h, w, 1 | 3) of at most MOST_PIXELS a side."""
    cell = cell[..., None] if cell.ndim == 2 else cell
    step = max(1, -(-max(cell.shape[:2]) // MOST_PIXELS))
    cell = cell[::step, ::step, : 3 if cell.shape[2] >= 3 else 1]
    times = max(1, MOST_PIXELS // max(cell.shape[:2]))  # small ones enlarged here: browsers would blur them
    return cell.repeat(times, axis=0).repeat(times, axis=1)


def _line(name: str, column: Array, cell: np.ndarray) -> Picture:
    """Channels along the first axis; of further axes the first place."""
    while cell.ndim > 2:
        cell = cell[:, 0]
    cell = cell[:, None] if cell.ndim == 1 else cell
    step = max(1, len(cell) // MOST_STEPS)
    steps = range(0, len(cell), step)
    found = []
    for c in range(min(MOST_CHANNELS, cell.shape[1])):
        values = tuple(float(f"{v:.5g}") if np.isfinite(v) else None for v in cell[::step, c])
        found.append(Series(f"channel {c}" if cell.shape[1] > 1 else name, tuple(steps), values))
    return Picture(name, "The series as it is.", "step", "", tuple(found))


def png(pixels: np.ndarray) -> str:
    """Bytes (h, w, 1 | 3) as the data URI of a PNG: what a page can show without a file or a network."""
    h, w, c = pixels.shape
    rows = np.zeros((h, 1 + w * c), np.uint8)  # each begins with the number of its filter, none
    rows[:, 1:] = pixels.reshape(h, w * c)
    head = struct.pack(">IIBBBBB", w, h, 8, 2 if c == 3 else 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()
