"""Features by the content of their row, on disk: shared by trials, workers and later runs.

A file a batch, written under another name first, so that whoever reads while others write sees whole ones alone. Of files
whose rows nobody here asks for only the keys are read.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections import ChainMap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from metalearner.home import home

# Tokens that a tokeniser adds to a text.
SPECIAL = 2
# Bytes of all features kept; the files that were not asked for the longest go first.
MOST = int(os.environ.get("METALEARNER_FEATURES", "2000000000"))
FILE = ".npz"


class Store:
    """What one backbone, at one setting, said of rows: float16 (width,) each."""

    def __init__(self, key: str, about: dict[str, object]) -> None:
        """`key` names the folder, `about` is written into it for people."""
        self.folder = home() / "features" / key
        self.saved: dict[bytes, np.ndarray] = {}
        self.passing: dict[bytes, np.ndarray] = {}  # of rows that somebody wanted predicted: in no file, soon forgotten
        self.known = ChainMap(self.saved, self.passing)
        self._read: set[str] = set()
        self._files: dict[bytes, str] = {}  # which holds a row
        self.about = about
        self.rows, self.seconds = 0, 0.0  # how long reading them took

    def refresh(self, keys: Iterable[bytes]) -> None:
        """Take in what others have written of these rows."""
        try:
            names = {name for name in os.listdir(self.folder) if name.endswith(FILE)} - self._read
        except FileNotFoundError:
            return
        for name in names:
            self._read.add(name)
            found = self._loaded(name, "keys", "seconds")
            if found is not None:
                self._files |= dict.fromkeys(_split(found[0]), name)
                self.rows, self.seconds = self.rows + len(found[0]), self.seconds + float(found[1])
        for name in {self._files[key] for key in keys if key in self._files and key not in self.saved}:
            found = self._loaded(name, "keys", "values")
            if found is not None:
                self.saved |= dict(zip(_split(found[0]), found[1]))
                with suppress(OSError):
                    os.utime(self.folder / name)  # asked for just now

    @contextmanager
    def first(self) -> Iterator[bool]:
        """Whether no other process reads rows for this store meanwhile."""
        with ExitStack() as held:
            alone = True
            try:
                self._make()
                lock = held.enter_context((self.folder / "lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel frees it when this process dies
            except OSError as problem:  # where nothing can be written nobody shares anything, either
                alone = not isinstance(problem, BlockingIOError)
            yield alone

    def add(self, keys: Sequence[bytes], rows: Sequence[np.ndarray], seconds: float, keep: bool = True) -> None:
        """Remember rows, float16 (width,) each, here and on disk, and how long reading them took."""
        self.rows, self.seconds = self.rows + len(keys), self.seconds + seconds
        if not keep:
            self.passing |= dict(zip(keys, rows))
            return
        values = np.stack(rows)
        self.saved |= dict(zip(keys, values))
        name = f"{uuid.uuid4().hex}{FILE}"
        try:
            self._make()
            part = self.folder / f".{name}.part"
            with part.open("wb") as out:
                names = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1)
                np.savez(out, keys=names, values=values, seconds=seconds)
            part.replace(self.folder / name)
            self._read.add(name)
        except OSError:  # a cache that cannot be written costs seconds, nothing else
            return

    def _make(self) -> None:
        if not self.folder.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "about.json").write_text(json.dumps(self.about, indent=1))

    def _loaded(self, name: str, *parts: str) -> list[np.ndarray] | None:
        """Arrays of a file; None where it is gone, or was cut short by a full disk: its rows are computed again."""
        try:
            with np.load(self.folder / name, allow_pickle=False) as found:
                return [found[part] for part in parts]
        except (OSError, ValueError, KeyError, BadZipFile):
            return None


def tidy(most: int = MOST) -> None:
    """Remove the features that were not asked for the longest, until the rest fits."""
    import shutil

    root, total = home() / "features", 0
    for _, size, file in sorted(_features(root), key=lambda one: -one[0]):
        total += size
        if total > most:
            file.unlink(missing_ok=True)
    for folder, _, names in os.walk(root):
        if Path(folder) != root and not any(FILE in name for name in names):
            shutil.rmtree(folder, ignore_errors=True)


def _features(root: Path) -> Iterator[tuple[float, int, Path]]:
    """When each file was asked for last, its bytes, and which it is; also what somebody writes just now, or left unfinished."""
    for folder, _, names in os.walk(root):
        for file in (Path(folder, name) for name in names if FILE in name):
            with suppress(FileNotFoundError):  # finished meanwhile, or removed by another
                stat = file.stat()
                yield stat.st_mtime, stat.st_size, file


def _split(keys: np.ndarray) -> list[bytes]:
    """Keys (n, bytes) as `row_keys` gives them."""
    return [key.tobytes() for key in keys]


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
