"""Folders as bytes and back, in pieces that fit into an object store."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

Parcel = list[tuple[str, bytes]]  # (path below the folder, a file's bytes or the next piece of them)

# Bytes of one parcel.
PARCEL = 1 << 24


def pack(folder: Path, leave: Collection[str] = ()) -> Iterator[Parcel]:
    """The files below a folder, in order; hidden ones, and folders named in `leave`, stay behind."""
    parcel, room = Parcel(), PARCEL
    for file in _files(folder, leave):
        name = file.relative_to(folder).as_posix()
        with file.open("rb") as stream:
            parcel.append((name, stream.read(room)))
            room -= len(parcel[-1][1])
            while not room:
                yield parcel
                parcel, room = Parcel(), PARCEL
                if piece := stream.read(room):
                    parcel.append((name, piece))
                    room -= len(piece)
    if parcel:
        yield parcel


def unpack(parcels: Iterable[Parcel], folder: Path) -> None:
    """Write what `pack` gave into a folder that holds none of it yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for parcel in parcels:
        for name, piece in parcel:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab") as stream:
                stream.write(piece)


def _files(folder: Path, leave: Collection[str]) -> Iterator[Path]:
    # Not rglob: it fails on what another process renames meanwhile.
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f not in leave and not f.startswith("."))
        yield from (Path(parent) / f for f in sorted(files) if not f.startswith("."))
