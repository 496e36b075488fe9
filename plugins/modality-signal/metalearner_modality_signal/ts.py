"""Series in the `.ts` text format of the UEA & UCR archive (sktime, aeon)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metalearner.arrays import Ragged
from metalearner.errors import DataError

from .samples import Samples


@dataclass
class Header:
    """What the lines before @data say."""

    labelled: bool = False
    kind: str = ""  # "category" or "number"
    classes: tuple[str, ...] = ()
    dimensions: int = 0  # 0: not said
    equal: bool = False
    length: int = 0  # 0: not said


def source_in(folder: Path) -> tuple[Path, str] | None:
    """The series file of a folder and the name of the test file beside it ("": none); None without `.ts` files."""
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() == ".ts" and not p.name.startswith("."))
    if not files:
        return None
    train = [p for p in files if p.stem.upper().endswith("_TRAIN")]
    chosen = train if train else files
    if len(chosen) != 1:
        names = ", ".join(p.name for p in chosen[:6])
        raise DataError(
            f"{folder.name} holds {len(chosen)} series files: {names}.", "One is the source.", "Name the file."
        )
    test = folder / f"{chosen[0].stem[: -len('TRAIN')]}TEST{chosen[0].suffix}" if train else None
    return chosen[0], test.name if test and test.exists() else ""


def read(path: Path) -> Samples:
    """Read a file; DataError with the line number where it is broken."""
    head, labels, rows, dimensions = Header(), [], [], 0
    for number, header, line in _lines(path):
        if header is not None:
            head = header
            continue
        parts = line.split(":")
        if head.labelled:
            label = parts.pop().strip()
            if head.classes and label not in (*head.classes, "", "?"):
                _fail(path, number, f"the label '{label}' is none of @classLabel {' '.join(head.classes[:12])}")
            labels.append("" if label == "?" else label)
        wanted = head.dimensions or dimensions or len(parts)
        if len(parts) != wanted:
            _fail(path, number, f"{len(parts)} dimensions where {wanted} are expected")
        dimensions = wanted
        rows.append(_row(path, number, parts, head))
    if not rows:
        raise DataError(f"{path.name} holds no series.", "After @data there is one series a line.")
    lengths = {len(r) for r in rows}
    signal = np.stack(rows) if len(lengths) == 1 else Ragged.pack(rows)
    return Samples(signal, np.array(labels, dtype=str) if head.labelled else None, head.kind)


def _row(path: Path, number: int, parts: list[str], head: Header) -> np.ndarray:
    """One series (length, dimensions); "?" is NaN."""
    series = []
    for part in parts:
        try:
            series.append(
                [np.nan if v.strip() in ("?", "NaN") else float(v) for v in part.strip().rstrip(",").split(",")]
            )
        except ValueError as error:
            _fail(path, number, str(error))
    lengths = {len(s) for s in series}
    if len(lengths) > 1:
        _fail(path, number, f"dimensions of unequal lengths {sorted(lengths)}")
    length = lengths.pop()
    if head.equal and head.length and length != head.length:
        _fail(path, number, f"{length} values where @seriesLength says {head.length}")
    return np.array(series, dtype=np.float64).T


def _lines(path: Path) -> Iterator[tuple[int, Header | None, str]]:
    """The header, then every data line with its number."""
    head, started, number = Header(), False, 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, raw in enumerate(file, 1):
            line = raw.strip()
            if not line or line[0] in "#%":
                continue
            if started:
                yield number, None, line
            elif line.lower() == "@data":
                started = True
                yield number, head, ""
            elif line[0] == "@":
                _declare(path, number, line[1:].split(), head)
            else:
                _fail(path, number, "values before @data")
    if not started:
        raise DataError(
            f"{path.name} has no @data line in its {number} lines.",
            "Header lines begin with @ and end with @data.",
            *_HINT,
        )


def _declare(path: Path, number: int, words: list[str], head: Header) -> None:
    """Take one header line in."""
    if not words:
        _fail(path, number, "an @ without a word")
    word, rest = words[0].lower(), words[1:]
    yes = bool(rest) and rest[0].lower() == "true"
    if word in ("dimensions", "dimension", "serieslength"):
        if not rest or not rest[0].isdigit() or rest[0] == "0":
            _fail(path, number, f"@{words[0]} needs a whole number above 0, not '{' '.join(rest)}'")
        setattr(head, "length" if word == "serieslength" else "dimensions", int(rest[0]))
    elif word in ("timestamps", "univariate", "equallength", "missing", "classlabel", "targetlabel"):
        if not rest or rest[0].lower() not in ("true", "false"):
            _fail(path, number, f"@{words[0]} needs true or false, not '{' '.join(rest[:1])}'")
        if word == "timestamps" and yes:
            _fail(path, number, "series with time stamps are not read; only evenly spaced values are")
        head.equal = yes if word == "equallength" else head.equal
        head.dimensions = 1 if word == "univariate" and yes else head.dimensions
        if word in ("classlabel", "targetlabel") and yes:
            head.labelled, head.kind = True, "category" if word == "classlabel" else "number"
            head.classes = tuple(rest[1:]) if word == "classlabel" else ()


_HINT = ("The format: @problemName, @classLabel true a b, @data, then dim1:dim2:label a line.",)


def _fail(path: Path, number: int, what: str) -> None:
    raise DataError(f"{path.name}, line {number}: {what}.", "", *_HINT)
