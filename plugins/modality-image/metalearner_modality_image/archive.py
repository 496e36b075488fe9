"""NPZ archives of pictures: bytes in the shape of images beside their labels. Never unpickled."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.errors import DataError
from metalearner.tables import labels

from . import pixels
from .listing import CHUNK, LOOKED_AT, spaced
from .pixels import Form, Look

NAMED = ("images", "image")  # these are pictures whatever their type
NAMES = (*NAMED, "x", "data", "signal", "signals", "series", "samples", "arr_0")
LABELS = (*labels.NAMES, "arr_1")
# what zipfile and NumPy raise for damaged, encrypted or oversized archives
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    OSError,
    RuntimeError,
    NotImplementedError,
    MemoryError,
)
PART = re.compile(r"(?:(?P<part>train|test)_(?P<key>.+)|(?P<key2>.+)_(?P<part2>train|test))", re.IGNORECASE)


@dataclass(frozen=True)
class Head:
    """Shape and type of one stored array, read without its values."""

    key: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def channels_first(self) -> bool:
        """Whether (n, 1 | 3, h, w)."""
        return len(self.shape) == 4 and self.shape[3] not in (1, 3, 4) and self.shape[1] in (1, 3)

    @property
    def fits(self) -> bool:
        """Whether the shape is one of pictures: (n, h, w), (n, h, w, 1 | 3 | 4) or (n, 1 | 3, h, w)."""
        if len(self.shape) == 4 and self.shape[3] not in (1, 3, 4) and not self.channels_first:
            return False
        sides = self.shape[2:] if self.channels_first else self.shape[1:3]
        return len(self.shape) in (3, 4) and min(sides) >= 4


@dataclass(frozen=True)
class Archive:
    """Where the pictures and their labels lie; `ignored` are the arrays of a test part."""

    path: Path
    images: Head
    labels: Head | None
    ignored: tuple[str, ...] = ()


def find(path: Path, claiming: bool = True) -> Archive | None:
    """The pictures in an archive; None when `claiming` and it holds something else.

    Raises DataError when it is corrupt, would have to be unpickled, or holds no pictures although it should.
    """
    known, ignored = _training_part(_heads(path))
    name = next((n for n in NAMES if n in known), None)
    if name is None:
        fitting = [n for n, h in known.items() if n not in LABELS and (h.dtype == np.uint8 and h.fits)]
        objects = [n for n, h in known.items() if n not in LABELS and h.dtype.hasobject]
        name = fitting[0] if len(fitting) == 1 else objects[0] if len(objects) == 1 and not fitting else None
    image = known.get(name or "")
    if image is not None and image.dtype.hasobject:
        raise _pickled(path, image)
    picture = image is not None and image.fits and (image.dtype == np.uint8 or name in NAMED)
    if image is None or not (picture or name in NAMED or (image.fits and not claiming)):
        if claiming:
            return None
        held = ", ".join(f"{h.key} {h.dtype} {h.shape}" for h in known.values()) or "nothing"
        raise DataError(f"There are no images in {path.name}, it holds {held}.", *_SHAPES)
    if not image.fits or image.dtype.kind not in "biuf":
        raise DataError(f"'{image.key}' in {path.name} holds {image.dtype} {image.shape}, no images.", *_SHAPES)
    label = next((n for n in LABELS if n in known and n != name and (n != "arr_1" or name == "arr_0")), None)
    return Archive(path, image, known[label] if label else None, ignored)


_SHAPES = (
    "Images are uint8 arrays (n, h, w), (n, h, w, 1 | 3 | 4) or (n, 1 | 3, h, w), of 4 pixels a side or more.",
    "Save them with numpy.savez(path, x=images, y=labels).",
)


def load(found: Archive, labelled: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Images (n, h, w, c) as stored, and labels (n,) if they are wanted; DataError when they do not fit together."""
    label = found.labels if labelled else None
    if label is not None and label.dtype.hasobject:
        raise _pickled(found.path, label)
    try:
        with np.load(found.path, allow_pickle=False) as archive:
            images = archive[found.images.key]
            values = archive[label.key] if label else None
    except DAMAGED as error:
        raise _corrupt(found.path, error) from None
    if images.ndim == 3:
        images = images[..., None]
    elif found.images.channels_first:
        images = images.transpose(0, 2, 3, 1)
    return images, None if label is None else _labels(found.path, label.key, values, len(images))


def looks(images: np.ndarray) -> tuple[list[Look], tuple[float, float] | None]:
    """What up to 500 evenly spaced images are, and the depth of images that are not bytes."""
    depth = pixels.depth_of(images)
    return [pixels.look_at(pixels.to_bytes(i, depth)) for i in images[spaced(len(images), LOOKED_AT)]], depth


def read(images: np.ndarray, form: Form) -> Iterator[np.ndarray]:
    """uint8 (m, H, W, C) in chunks, in order."""
    for start in range(0, len(images), CHUNK):
        part = images[start : start + CHUNK]
        if part.shape[1:] == form.shape:
            yield np.ascontiguousarray(pixels.to_bytes(part, form.depth))
        else:
            yield np.stack([pixels.convert(image, form) for image in part])


def _heads(path: Path) -> dict[str, Head]:
    """The stored arrays by name; DataError when the archive is corrupt."""
    found: dict[str, Head] = {}
    formats = np.lib.format
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if not member.endswith(".npy"):
                    continue
                with archive.open(member) as file:
                    first = formats.read_magic(file) == (1, 0)
                    head = formats.read_array_header_1_0(file) if first else formats.read_array_header_2_0(file)
                key = member.removesuffix(".npy")
                found[key] = Head(key, head[0], head[2])
    except DAMAGED as error:
        raise _corrupt(path, error) from None
    return found


def _training_part(heads: dict[str, Head]) -> tuple[dict[str, Head], tuple[str, ...]]:
    """Arrays by plain lower-case name, of a set cut in two the training part; and the keys of the test part."""
    cut: dict[str, dict[str, Head]] = {"train": {}, "test": {}}
    for key, head in heads.items():
        if m := PART.fullmatch(key):
            cut[(m["part"] or m["part2"]).lower()][(m["key"] or m["key2"]).lower()] = head
    if cut["train"]:
        return cut["train"], tuple(sorted(h.key for h in cut["test"].values()))
    return cut["test"] or {key.lower(): head for key, head in heads.items()}, ()


def _labels(path: Path, key: str, values: Any, rows: int) -> np.ndarray:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or values.dtype.kind not in "biufUS":
        raise DataError(
            f"'{key}' in {path.name} has shape {values.shape} and type {values.dtype}.",
            "Labels are one number or string an image, (n,).",
            "Turn one-hot rows into class numbers with argmax.",
        )
    if len(values) != rows:
        raise DataError(
            f"{path.name} holds {rows} images and {len(values)} labels ('{key}').",
            "There is one label an image.",
            "Save both in the same order and number.",
        )
    return values


def _pickled(path: Path, head: Head) -> DataError:
    return DataError(
        f"'{head.key}' in {path.name} holds Python objects {head.shape}: they would have to be unpickled.",
        "Nothing is ever unpickled, for that can run any code.",
        "Save images of one size as uint8 (n, h, w, c), labels with dtype=str, unequal signals flat with 'lengths'.",
    )


def _corrupt(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path.name} cannot be read: {str(error) or type(error).__name__}.",
        "It must be an archive as numpy.savez writes it.",
        "Write or download it again.",
    )
