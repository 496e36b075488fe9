"""Folders of class folders of text files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .texts import LONGEST, Counts

SUFFIXES = (".txt", ".md", ".text")
# Bytes up to which a file may be blank.
SHORT = 64


@dataclass(frozen=True)
class Listing:
    """The files of a folder in order, and the class of each."""

    files: tuple[Path, ...]
    labels: tuple[str, ...]


def listing(path: Path) -> Listing | None:
    """The texts of at least two class folders; None where there is anything else in them."""
    root = path
    while len(inside := _folders(root)) == 1 and not any(p.is_file() for p in root.iterdir()):
        root = inside[0]
    files: list[Path] = []
    labels: list[str] = []
    for folder in _folders(root):
        own = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
        if not own or any(p.suffix.lower() not in SUFFIXES for p in own):
            return None
        files += own
        labels += [folder.name] * len(own)
    return Listing(tuple(files), tuple(labels)) if len(set(labels)) > 1 else None


def read(files: tuple[Path, ...]) -> Iterator[str]:
    """The beginning of each file, as UTF-8 where it is, else as Latin-1."""
    return map(_beginning, files)


def counted(files: tuple[Path, ...]) -> Counts:
    """What there is to tell of files; only those that are very short or very long are opened."""
    found = Counts()
    for file in files:
        size = file.stat().st_size
        if size <= SHORT or size > LONGEST:
            found.add(_beginning(file))
    return found


def _beginning(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(4 * LONGEST + 4)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        cut_off = problem.start > len(data) - 4  # within a character, not at a wrong one
        return data[: problem.start].decode("utf-8-sig") if cut_off else data.decode("latin-1")


def _folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))
