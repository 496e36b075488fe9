"""Picture files in order with what is known of each: the check that they can be read, what they are, their pixels."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.errors import DataError

from . import pixels
from .pixels import Form, Look, Unreadable

BROKEN = 0.05  # share of unreadable files that is skipped
CHECKED, LOOKED_AT, CHUNK = 20_000, 500, 512
SMALLEST = 8  # pixels of any side that was reduced
# Pixels of the longer side that are kept: as many as pretrained models look at, where all pictures in three channels take no
# more than ROOM bytes, else fewer.
FINEST, LARGEST, ROOM = 224, 128, 5e8
NAMED = 5

Batch = tuple[np.ndarray, Mapping[str, Sequence[Any]]]  # uint8 (m, H, W, C) and m values a column


@dataclass(frozen=True)
class Listing:
    """The picture files of a source in order; `columns` are what is known of each, its label above all."""

    where: str
    files: tuple[Path, ...]
    names: tuple[str, ...]
    columns: Mapping[str, Sequence[Any]]
    options: Mapping[str, Any] = field(default_factory=dict)
    unlabelled: tuple[str, str, str] = ("", "", "")  # why there are no labels, for a DataError


def check(found: Listing) -> tuple[np.ndarray, list[str]]:
    """Rows that can be read (of more than 20,000 files evenly spaced ones are tried), and what the others are.

    Raises DataError when over 5 % of those tried cannot be read.
    """
    tried = spaced(len(found.files), CHECKED)
    readable = np.ones(len(found.files), bool)
    broken = []
    for i in tried:
        try:
            pixels.verify(found.files[i])
        except Unreadable as reason:
            readable[i] = False
            broken.append(f"{found.names[i]} ({reason})")
    _refuse_many(broken, len(tried), found.where)
    return np.flatnonzero(readable), broken


def survey(looks: Sequence[Look], rows: int) -> dict[str, Any]:
    """Schema options for so many pictures: one size and number of channels for all, and the depth of those that are not bytes."""
    size = _size(looks, FINEST)
    if rows * size[0] * size[1] * 3 > ROOM:
        size = _size(looks, LARGEST)
    options: dict[str, Any] = {"size": size, "channels": 1 if all(look.grey for look in looks) else 3}
    spans = [look.span for look in looks if look.span]
    if spans:
        whole = all(look.whole for look in looks)
        options["depth"] = list(pixels.natural_depth(min(s[0] for s in spans), max(s[1] for s in spans), whole))
    return options


def note(options: Mapping[str, Any], looks: Sequence[Look]) -> str:
    """What was found and what it is brought to, for people."""
    height, width = options["size"]
    told = f"{'grey' if options['channels'] == 1 else 'colour'}, {height} x {width}"
    sizes = sorted({(look.height, look.width) for look in looks})
    if len(sizes) > 1:
        told += f", from {len(sizes)} sizes between {_by(sizes[0])} and {_by(sizes[-1])}"
    elif sizes[0] != (height, width):
        told += f", from {_by(sizes[0])}"
    return told


def looks(found: Listing, rows: np.ndarray) -> list[Look]:
    """What up to 500 evenly spaced ones of the readable pictures are."""
    seen = []
    for i in rows[spaced(len(rows), LOOKED_AT)]:
        try:
            seen.append(pixels.look(found.files[i]))
        except Unreadable:  # damaged in a way that only decoding finds, and left out then
            continue
    if not seen:
        raise DataError(f"None of the images in {found.where} can be decoded.", "", "Write or download them again.")
    return seen


def read(found: Listing, form: Form, skipping: bool) -> Iterator[Batch]:
    """Pixels and columns in chunks, in order.

    Raises DataError that names the first unreadable file, or, when `skipping`, only if over 5 % are.
    """
    broken: list[str] = []
    for start in range(0, len(found.files), CHUNK):
        images, kept = [], []
        for i in range(start, min(start + CHUNK, len(found.files))):
            try:
                images.append(pixels.read(found.files[i], form))
                kept.append(i)
            except Unreadable as reason:
                broken.append(f"{found.names[i]} ({reason})")
                if not skipping:
                    raise DataError(
                        f"The image {broken[0]} could not be read.",
                        "Each row to predict needs an image.",
                        "Repair it or leave it out.",
                    ) from None
        if len(broken) > BROKEN * len(found.files):
            _refuse_many(broken, len(found.files), found.where)
        if images:
            yield np.stack(images), {name: [values[i] for i in kept] for name, values in found.columns.items()}
    if broken:
        logging.getLogger(__name__).info("%d images skipped in %s: %s", len(broken), found.where, some(broken))


def some(names: Sequence[str]) -> str:
    """The first five, and how many more there are."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def spaced(count: int, most: int) -> np.ndarray:
    """At most `most` of the positions 0 .. count - 1, evenly spaced.

    >>> spaced(10, 4).tolist()
    [0, 2, 5, 7]
    """
    return np.arange(count) if count <= most else np.arange(most) * count // most


def _refuse_many(broken: Sequence[str], tried: int, where: str) -> None:
    if len(broken) > BROKEN * tried:
        raise DataError(
            f"{len(broken)} of {tried} images in {where} could not be read: {some(broken)}.",
            f"At most {BROKEN:.0%} are skipped.",
            "Repair or remove them.",
        )


def _size(looks: Sequence[Look], largest: int) -> list[int]:
    """Height and width of all; the longer side is no larger than that."""
    height, width = np.median([look.height for look in looks]), np.median([look.width for look in looks])
    same = len({(look.height, look.width) for look in looks}) == 1
    if same and max(height, width) <= largest:
        return [int(height), int(width)]
    scale = min(1.0, largest / max(height, width))
    return [max(SMALLEST, round(float(side * scale))) for side in (height, width)]


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
