"""Features by the content of their row, on disk: shared by trials, workers and later runs.

A file a batch, written under another name first, so that whoever reads while others write sees whole ones alone.
"""

from __future__ import annotations

import json
import os
import uuid
from collections import ChainMap
from collections.abc import Sequence
from zipfile import BadZipFile

import numpy as np

from metalearner.home import home

# Tokens that a tokeniser adds to a text.
SPECIAL = 2
# Bytes of all features kept; the folders that were not asked for the longest go first.
MOST = int(os.environ.get("METALEARNER_FEATURES", "2000000000"))


class Store:
    """What one backbone, at one setting, said of rows: float16 (width,) each."""

    def __init__(self, key: str, about: dict[str, object]) -> None:
        """`key` names the folder, `about` is written into it for people."""
        self.folder = home() / "features" / key
        self.saved: dict[bytes, np.ndarray] = {}
        self.passing: dict[bytes, np.ndarray] = {}  # of rows that somebody wanted predicted: in no file, soon forgotten
        self.known = ChainMap(self.saved, self.passing)
        self._read: set[str] = set()
        self.about = about
        self.rows, self.seconds = 0, 0.0  # how long reading them took

    def refresh(self) -> None:
        """Take in what others have written since."""
        try:
            names = {name for name in os.listdir(self.folder) if name.endswith(".npz")} - self._read
        except FileNotFoundError:
            return
        for name in names:
            self._read.add(name)
            try:
                with np.load(self.folder / name, allow_pickle=False) as found:
                    keys, values, seconds = found["keys"], found["values"], float(found["seconds"])
            except (
                OSError,
                ValueError,
                KeyError,
                BadZipFile,
            ):  # gone, or cut short by a full disk: it is computed again
                continue
            self.saved |= {key.tobytes(): row for key, row in zip(keys, values)}
            self.rows, self.seconds = self.rows + len(keys), self.seconds + seconds
        if names:
            os.utime(self.folder)  # asked for just now

    def add(self, keys: Sequence[bytes], rows: Sequence[np.ndarray], seconds: float, keep: bool = True) -> None:
        """Remember rows, float16 (width,) each, here and on disk, and how long reading them took."""
        self.rows, self.seconds = self.rows + len(keys), self.seconds + seconds
        if not keep:
            self.passing |= dict(zip(keys, rows))
            return
        values = np.stack(rows)
        self.saved |= dict(zip(keys, values))
        name = f"{uuid.uuid4().hex}.npz"
        try:
            if not self.folder.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                (self.folder / "about.json").write_text(json.dumps(self.about, indent=1))
            part = self.folder / f".{name}.part"
            with part.open("wb") as out:
                names = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1)
                np.savez(out, keys=names, values=values, seconds=seconds)
            part.replace(self.folder / name)
            self._read.add(name)
        except OSError:  # a cache that cannot be written costs seconds, nothing else
            return


def tidy(most: int = MOST) -> None:
    """Remove the features that were not asked for the longest, until the rest fits."""
    import shutil

    root = home() / "features"
    if not root.exists():
        return
    folders = sorted((f for f in root.iterdir() if f.is_dir()), key=lambda f: -f.stat().st_mtime)
    total = 0
    for folder in folders:
        total += sum(file.stat().st_size for file in folder.iterdir())
        if total > most:
            shutil.rmtree(folder, ignore_errors=True)


def row_keys(raw: Sequence[np.ndarray], length: int | None = None) -> list[bytes]:
    """What tells rows apart, by their content in all views; what texts are filled up with does not count.

    Nor does it count for a text how many tokens of it are read, where so many bytes cannot be more.
    """
    import hashlib

    found = []
    for rows in zip(*raw):
        digest = hashlib.blake2b(digest_size=16)
        size = 0
        for row in rows:
            content = row.tobytes().rstrip(b"\0")
            size += len(content) + SPECIAL
            digest.update(f"{row.dtype}{row.shape if row.ndim > 1 else ''}".encode())
            digest.update(content)
            digest.update(b"\0")
        if length is not None and size > length:
            digest.update(str(length).encode())
        found.append(digest.digest())
    return found


def folder_key(parts: dict[str, object]) -> str:
    """A name for a backbone at one setting."""
    from metalearner.records import digest

    return digest(parts)[:24]
