"""A folder of class folders: what lies directly below it are the classes, however deep the pictures lie."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from metalearner.errors import DataError

from .listing import Listing, some
from .pixels import SUFFIXES

SERIES = (".wav", ".flac", ".ts")
TEXTS = {".txt", ".text"}
# what other modalities read: a folder of these is theirs to judge
DATA = (*SERIES, ".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".sqlite", ".db", ".npz", ".npy")
PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}
READ = "PNG, JPEG, BMP, GIF, TIFF and WebP are read."


def listing(path: Path, levels: Collection[str] = ()) -> Listing | None:
    """The pictures of a folder, in natural order of class and name; None when it holds other data.

    `levels` are the classes already known. Raises DataError when there is nothing in it that could be data.
    """
    pictures, others = _found(path)
    where = path.resolve().name
    if not pictures and (any(suffix in DATA for suffix in others) or (others.keys() <= TEXTS and others.total() > 1)):
        return None
    if sum(others[suffix] for suffix in SERIES) >= max(1, len(pictures)):
        return None  # recordings with a cover picture
    if not pictures:
        held = ", ".join(f"{n} {suffix or 'without suffix'}" for suffix, n in others.most_common(5))
        raise DataError(
            f"There are no images in '{where}'" + (f", its files are {held}." if held else ", it is empty."),
            READ,
            "Give a folder with one folder of images a class.",
        )
    pictures.sort(key=lambda parts: [_natural(part) for part in parts])
    wrapped: tuple[str, ...] = ()
    # an archive often unpacks into a folder that holds the real one
    while len(first := {parts[0] for parts in pictures}) == 1 and len(pictures[0]) > 1 and not first & set(levels):
        wrapped += (pictures[0][0],)
        pictures = [parts[1:] for parts in pictures]
    unlabelled = _unlabelled(path, pictures, wrapped, levels)
    root = path.joinpath(*wrapped)
    return Listing(
        where=where,
        files=tuple(root.joinpath(*parts) for parts in pictures),
        names=tuple("/".join(parts) for parts in pictures),
        columns={} if unlabelled else {"label": [parts[0] for parts in pictures]},
        options={"form": "folder"},
        unlabelled=unlabelled or ("", "", ""),
    )


def _unlabelled(
    path: Path, pictures: list[tuple[str, ...]], wrapped: tuple[str, ...], levels: Collection[str]
) -> tuple[str, str, str] | None:
    """Why these pictures have no classes, None when they have."""
    beside = ["/".join(parts) for parts in pictures if len(parts) == 1]
    classes = {parts[0] for parts in pictures if len(parts) > 1}
    if not classes:
        where = f", all in '{wrapped[-1]}'" if wrapped else ""
        tables = sorted(p.name for p in path.iterdir() if p.suffix.lower() in (".csv", ".tsv"))
        hint = f"If '{tables[0]}' holds them, give that file." if tables else ""
        return (f"'{path.name}' holds {len(pictures)} images and no labels{where}.", _FORMS, hint)
    if beside:
        happened = f"In '{path.name}' {len(beside)} images lie beside the class folders: {some(beside)}."
        return (happened, _FORMS, "Put them into a class folder, or leave them out.")
    parted = len(classes) > 1 and {c.lower() for c in classes} <= PARTS and not classes & set(levels)
    if parted and any(len(parts) > 2 for parts in pictures):
        train = next((c for c in sorted(classes) if c.lower().startswith("train")), min(classes))
        test = next((c for c in sorted(classes, key=lambda c: "test" not in c.lower()) if c != train), "")
        happened = f"The folders in '{path.name}' are parts, not classes: {', '.join(sorted(classes))}."
        return (happened, _FORMS, f"Give '{path.name}/{train}' as the source, and --test {path.name}/{test}.")
    return None


_FORMS = "Put each class in a folder of its own, or give a CSV with a column of paths and one of labels."


def _found(root: Path) -> tuple[list[tuple[str, ...]], Counter[str]]:
    """Pictures as the parts of their path below `root`, and how many other files there are by suffix."""
    pictures, others, seen = [], Counter[str](), set()
    for folder, inner, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        inner[:] = [] if real in seen else sorted(name for name in inner if not name.startswith((".", "__")))
        if real in seen:  # a link that leads back
            continue
        seen.add(real)
        parts = Path(folder).relative_to(root).parts
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if name.startswith("."):
                continue
            if suffix in SUFFIXES:
                pictures.append((*parts, name))
            else:
                others[suffix] += 1
    return pictures, others


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """A key by which 2.png comes before 10.png."""
    pieces = re.split(r"([0-9]+)", name)
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in pieces if p], name
