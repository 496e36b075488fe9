"""Records as text: append-only JSON lines, each addressed by the hash of its record.

    {"kind": "dataset" | "description" | "experience", "id": SHA-256, "dataset": ..., "day": "2026-11-26", "record": {...}}

The day is the one on which a record came into the base that first wrote it; it is no part of what the record says, nor of its id.
Text is the truth, everything else is derived from it. Merging two files is set union by id. A process
killed in mid-write leaves at most one torn last line, which readers pass over and the next writer ends. Records that ship
are packed: the same lines in a fixed order, compressed by gzip, so that `zcat` shows them and equal records are equal files.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from ..records import DatasetCard, Description, Experience, canonical, digest

# What stands before the record, which is the last of a line's keys. In a JSON string it would have backslashes.
RECORD = b',"record":'
KINDS = {DatasetCard: "dataset", Description: "description", Experience: "experience"}


@dataclass(frozen=True)
class Line:
    """One record with its kind, its id, for a description the data set it describes, and the day on which it came."""

    kind: str
    id: str
    record: dict[str, Any]
    dataset: str = ""
    day: str = ""  # as ISO 8601 has it; empty where nobody noted it
    read: str = field(default="", compare=False)  # the record's own text, where it was read from a file

    @property
    def body(self) -> str:
        """The record alone: as it was read, which in files of ours is canonical JSON, or as that."""
        return self.read or canonical(self.record)

    @classmethod
    def of(cls, record: DatasetCard | Description | Experience, dataset: str = "") -> Line:
        """The line of a record."""
        return cls(KINDS[type(record)], record.id, record.to_json(), dataset)

    @property
    def of_dataset(self) -> str:
        """The data set that the record is of; empty for a card."""
        return self.dataset or str(self.record.get("dataset", ""))

    @property
    def text(self) -> str:
        """Canonical JSON, without the newline."""
        about = {"kind": self.kind, "id": self.id, "record": self.record}
        return canonical(about | {k: v for k, v in (("dataset", self.dataset), ("day", self.day)) if v})


@dataclass(frozen=True)
class Excerpt:
    """What was read from a file: its lines, how many bytes are now known and their hash, what was passed over."""

    lines: tuple[Line, ...]
    known: int
    digest: str
    notes: tuple[str, ...]


def append(file: Path, lines: Sequence[Line]) -> None:
    """Add lines at the end in one locked write; after an OSError the file is as it was before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(line.text + "\n" for line in lines).encode()
    with file.open("ab+", buffering=0) as out:
        fcntl.flock(out, fcntl.LOCK_EX)  # the kernel frees it when this process dies
        size = out.seek(0, os.SEEK_END)
        if size and os.pread(out.fileno(), 1, size - 1) != b"\n":
            data = b"\n" + data  # end the line that a killed writer left torn
        try:
            while data:
                data = data[out.write(data) :]
            os.fsync(out.fileno())
        except OSError:
            out.truncate(size)
            raise


def pack(file: Path, lines: Iterable[Line]) -> None:
    """Write lines, each once, as one packed file: data sets first, then descriptions, then what was tried, by their ids."""
    order = list(KINDS.values())
    unique = {(line.id, line.dataset): line for line in lines}.values()
    data = "".join(
        line.text + "\n" for line in sorted(unique, key=lambda v: (order.index(v.kind), v.of_dataset, v.id))
    ).encode()
    part = file.with_name(f"{file.name.partition('.')[0]}.part")
    part.write_bytes(gzip.compress(data, mtime=0))
    part.replace(file)


def read(file: Path, start: int = 0, most: float = math.inf) -> Excerpt:
    """Whole lines from byte `start` on, at most so many; what is torn, malformed or not what its id says is noted and left out."""
    data = _bytes(file)
    lines, notes, known = [], [], start
    for raw in data[start:].splitlines(keepends=True):
        whole = raw.endswith(b"\n")
        try:
            line = _parse(raw) if raw.strip() else None
        except ValueError as problem:
            where = f"{file.name}, byte {known}"
            notes.append(f"{where}: {problem}" if whole else f"{where}: the last line is torn and was left out")
            if not whole:
                break
            line = None
        if line is not None:
            lines.append(line)
        known += len(raw)
        if len(lines) >= most:
            break
    return Excerpt(tuple(lines), known, hashlib.sha256(data[:known]).hexdigest(), tuple(notes))


def begins_with(file: Path, known: int, expected: str) -> bool:
    """Whether the first `known` bytes still have this hash, so that reading may go on behind them."""
    return hashlib.sha256(_bytes(file)[:known]).hexdigest() == expected


def _bytes(file: Path) -> bytes:
    """The lines of a file, packed or not."""
    with file.open("rb") as source:
        fcntl.flock(source, fcntl.LOCK_SH)  # so that nobody's half-written line looks torn
        data = source.read()
    return gzip.decompress(data) if file.suffix == ".gz" else data


def _parse(raw: bytes) -> Line:
    """A line, whose record is what its id says.

    As lines are written the record comes last, and the hash of its own text is its id: nothing has to be written out again.
    """
    head, _, tail = raw.strip().partition(RECORD)
    body = tail[:-1]
    try:
        found = json.loads(head + b"}") if tail[-1:] == b"}" else {}
        if hashlib.sha256(body).hexdigest() == found.get("id"):
            found["record"], read = json.loads(body), body.decode()
        else:
            found, read = json.loads(raw), ""
        line = Line(found["kind"], found["id"], found["record"], found.get("dataset", ""), _day(found.get("day")), read)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError("not a record") from None
    if line.kind not in KINDS.values() or not isinstance(line.record, dict) or not isinstance(line.dataset, str):
        raise ValueError(f"unknown kind of record {str(line.kind)[:40]!r}")
    if not read and digest(line.record) != line.id:
        raise ValueError("the record is not what its id says")
    return line


def _day(said: object) -> str:
    """The day that a line says, if it is one."""
    try:
        return date.fromisoformat(str(said)).isoformat()
    except ValueError:
        return ""
