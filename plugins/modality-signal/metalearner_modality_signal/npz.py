"""NPZ archives: a numeric array (samples, axes..., channels) beside its labels. Never unpickled."""

from __future__ import annotations

import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import Array, Ragged
from metalearner.errors import DataError

from .samples import LABEL_NAMES, Samples, real

SIGNAL_NAMES = ("x", "data", "signal", "signals", "series", "samples", "arr_0")
CUTS = ("offsets", "lengths")
# what zipfile and NumPy raise for damaged, encrypted or oversized archives
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, RuntimeError, MemoryError)
NUMBERS = "biufcO"  # object arrays are claimed, to be refused with the reason
PART = re.compile(r"(?:(?P<part>train|test)_(?P<key>.+)|(?P<key2>.+)_(?P<part2>train|test))", re.IGNORECASE)


@dataclass(frozen=True)
class Head:
    """Shape and type of one stored array, read without its values."""

    key: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def image(self) -> bool:
        """Whether bytes in this shape are pictures: (n, h, w), (n, h, w, 1 | 3 | 4) or (n, 1 | 3, h, w)."""
        if self.dtype != np.uint8 or len(self.shape) not in (3, 4):
            return False
        sides = self.shape[1:3] if len(self.shape) == 3 or self.shape[3] in (1, 3, 4) else self.shape[2:]
        return min(sides) >= 4 and (len(self.shape) == 3 or self.shape[3] in (1, 3, 4) or self.shape[1] in (1, 3))


def heads(path: Path) -> dict[str, Head]:
    """The stored arrays by plain lower-case name; of a set cut in parts, the training part."""
    found: dict[str, Head] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if not member.endswith(".npy"):
                    continue
                with archive.open(member) as file:
                    version = np.lib.format.read_magic(file)
                    read = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    shape, _, dtype = read(file)
                found[member.removesuffix(".npy")] = Head(member.removesuffix(".npy"), shape, dtype)
    except UNREADABLE as error:
        raise _corrupt(path, error) from None
    parts = {key: PART.fullmatch(key) for key in found}
    if any(m and (m["part"] or m["part2"]).lower() == "train" for m in parts.values()):
        train = {k: m for k, m in parts.items() if m and (m["part"] or m["part2"]).lower() == "train"}
        return {(m["key"] or m["key2"]).lower(): found[k] for k, m in train.items()}
    return {key.lower(): head for key, head in found.items()}


def signal_name(known: dict[str, Head]) -> str | None:
    """The name of the array that holds the signals, None when none does or several might."""
    for name in SIGNAL_NAMES:
        if name in known:
            return name
    rest = [n for n, h in known.items() if h in _numeric(known)]
    return rest[0] if len(rest) == 1 else None


def _numeric(known: dict[str, Head]) -> list[Head]:
    """The arrays that could hold signals: neither labels nor cuts nor text."""
    return [h for n, h in known.items() if n not in (*LABEL_NAMES, *CUTS) and h.dtype.kind in NUMBERS]


def claims(path: Path) -> bool:
    """Whether an archive holds numbers that are no pictures; DataError when it is corrupt."""
    known = heads(path)
    name = signal_name(known)
    if {"image", "images"} & set(known):
        return False
    return _numeric(known) != [] if name is None else known[name].dtype.kind in NUMBERS and not known[name].image


def read(path: Path) -> Samples:
    """Read an archive.

    Raises DataError when it is corrupt, would have to be unpickled, or its parts do not fit together.
    """
    known = heads(path)
    name = signal_name(known)
    if name is None:
        shown = ", ".join(f"{h.key} {h.shape}" for h in _numeric(known)) or "none"
        raise DataError(f"{path.name} does not say which array holds the signals: {shown}.", *_HINT)
    if known[name].dtype.kind not in NUMBERS:
        raise DataError(f"'{known[name].key}' in {path.name} holds {known[name].dtype}, no numbers.", *_HINT)
    label = next((n for n in LABEL_NAMES if n in known), None) or (
        "arr_1" if name == "arr_0" and "arr_1" in known else None
    )
    cut = next((n for n in CUTS if n in known), None)
    arrays = _load(path, [known[n] for n in (name, label, cut) if n])
    signal = _signal(path, arrays[known[name].key], cut, arrays[known[cut].key] if cut else None)
    labels = _labels(path, known[label].key, arrays[known[label].key], len(signal)) if label else None
    return Samples(signal, labels)


_HINT = ("Signals are numeric arrays (samples, axes..., channels).", "Name them 'x' and their labels 'y'.")


def _load(path: Path, wanted: list[Head]) -> dict[str, np.ndarray]:
    for head in wanted:
        if head.dtype.hasobject:
            raise DataError(
                f"'{head.key}' in {path.name} holds Python objects {head.shape}: they would have to be unpickled.",
                "Nothing is ever unpickled, for that can run any code.",
                "Save labels with dtype=str, unequal signals as flat 'x' (total, channels) and 'lengths' (n).",
            )
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {head.key: archive[head.key] for head in wanted}
    except UNREADABLE as error:
        raise _corrupt(path, error) from None


def _corrupt(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path.name} cannot be read: {error}.",
        "It must be an archive as numpy.savez writes it.",
        "Write or download it again.",
    )


def _signal(path: Path, values: np.ndarray, how: str | None, cuts: np.ndarray | None) -> Array:
    if how is not None and cuts is not None:
        return _ragged(path, values, how, np.asarray(cuts).ravel())
    if values.ndim == 2:
        values = values[..., None]
    if not 3 <= values.ndim <= 5:
        raise DataError(
            f"The signals in {path.name} have shape {values.shape}.",
            "(samples, axes..., channels) with one to three axes, or (samples, length), can be read.",
            "Flat values of unequal length need 'lengths' (n) or 'offsets' (n + 1).",
        )
    if 0 in values.shape[1:]:
        raise DataError(f"The signals in {path.name} have shape {values.shape}: they are empty.", *_HINT)
    return real(values)


def _ragged(path: Path, values: np.ndarray, how: str, cuts: np.ndarray) -> Array:
    """Flat values (total,) or (total, C) cut by offsets or lengths, or padded (n, T, ...) cut to lengths."""
    if cuts.dtype.kind not in "iu":
        raise DataError(f"'{how}' in {path.name} holds {cuts.dtype}.", "Whole numbers are expected.")
    cuts = cuts.astype(np.int64)
    padded = how == "lengths" and values.ndim in (2, 3) and len(values) == len(cuts) != cuts.sum()
    if padded and len(cuts) and cuts.min() >= 0 and cuts.max() <= values.shape[1]:
        values = real(values[..., None] if values.ndim == 2 else values)
        return Ragged.pack([row[:length] for row, length in zip(values, cuts)])
    offsets = np.concatenate([[0], np.cumsum(cuts)]) if how == "lengths" else cuts
    if (
        len(offsets) < 2
        or offsets[0] != 0
        or (np.diff(offsets) < 0).any()
        or offsets[-1] != len(values)
        or values.ndim > 2
    ):
        raise DataError(
            f"'{how}' in {path.name} end at {int(offsets[-1]) if len(offsets) else 0}, the values are {values.shape}.",
            "Lengths (n) sum to the number of values; offsets (n + 1) rise from 0 to it.",
            "Give values (total,) or (total, channels).",
        )
    return Ragged(real(values[:, None] if values.ndim == 1 else values), offsets)


def _labels(path: Path, key: str, labels: np.ndarray, rows: int) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "biufUS":
        raise DataError(
            f"'{key}' in {path.name} has shape {labels.shape} and type {labels.dtype}.",
            "Labels are one number or string a sample, (n,).",
            "Turn one-hot rows into class numbers with argmax.",
        )
    if len(labels) != rows:
        raise DataError(
            f"{path.name} holds {rows} signals and {len(labels)} labels ('{key}').", "There is one label a signal."
        )
    return labels


def parts(path: Path) -> dict[str, Any]:
    """Schema options of a set that comes cut in parts: which arrays are the test part."""
    with zipfile.ZipFile(path) as archive:
        keys = [m.removesuffix(".npy") for m in archive.namelist()]
    matches = [(k, m) for k in keys if (m := PART.fullmatch(k))]
    test = [k for k, m in matches if (m["part"] or m["part2"]).lower() == "test"]
    return {"test_keys": sorted(test)} if test and len(test) < len(matches) else {}
