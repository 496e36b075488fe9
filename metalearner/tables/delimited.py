"""Text files of delimited cells: CSV, TSV and their kin.

One parser both checks and reads, so that nothing is checked in one way and read in another.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path

from ..errors import DataError
from .cells import Cells
from .table import CHUNK, Table, column_names, empty

SUFFIXES = (".csv", ".tsv", ".txt")
DELIMITERS = (",", ";", "\t", "|")
SAMPLE = 100  # rows from which the delimiter is found
LONGEST_CELL = 1 << 24  # characters

_END = "\x1eend\x1e"  # put after the last line: a quote that is still open swallows it
_BLOCK = 1 << 20
_BREAK = re.compile(r"\r\n|\r|\n")
_COMMA, _POINT = re.compile(r"[+-]?\d+,(\d+)"), re.compile(r"[+-]?\d*\.\d+")


@dataclass(frozen=True)
class Dialect:
    """How a file is written."""

    encoding: str
    delimiter: str
    decimal_comma: bool = False
    quoted: bool = True  # whether a quote holds a cell together, or is a character like any other


def table(path: Path) -> Table | None:
    """Open a file; None for a `.txt` that is no table.

    Raises DataError for a file that is empty, has NUL bytes, a header alone, a name twice, or a quote that swallows
    rows; reading it raises DataError at the first row with too many or too few cells and at a quote left open.
    """
    about = path.stat()
    found = _looked_at(path.absolute(), about.st_size, about.st_mtime_ns)
    if found is None:
        return None
    dialect, names = found
    options: dict[str, object] = {"form": "delimited", "delimiter": dialect.delimiter, "encoding": dialect.encoding}
    if dialect.encoding == "latin-1":
        options["note"] = "not UTF-8, read as Latin-1"
    if dialect.decimal_comma:
        options["decimal"] = ","
    return Table(path.name, names, lambda wanted: _chunks(path, dialect, names, wanted), options)


@lru_cache(maxsize=16)
def _looked_at(path: Path, size: int, changed: int) -> tuple[Dialect, tuple[str, ...]] | None:
    """How a file is written, and the names of its columns; looked at once, since several modalities ask."""
    encoding, quotes = _encoding(path)
    dialect = _dialect(path, encoding)
    if dialect is None:
        return None
    if quotes:
        dialect = replace(dialect, quoted=_quoted(path, dialect))
    found = [cells for _, cells in islice(_records(path, dialect), 2)]
    if len(found) == 1:
        raise empty(path.name, "has a header and no rows")
    return dialect, column_names(found[0], path.name)


def _chunks(path: Path, dialect: Dialect, names: Sequence[str], wanted: Sequence[str]) -> Iterator[dict[str, Cells]]:
    places = [names.index(name) for name in wanted]
    rows = islice(_records(path, dialect), 1, None)
    while part := list(islice(rows, CHUNK)):
        for line, cells in part:
            if len(cells) != len(names):
                raise _ragged(path, dialect, line, cells, len(names))
        columns = list(zip(*(cells for _, cells in part)))
        if dialect.decimal_comma:
            columns = [tuple(c.replace(",", ".") if _COMMA.fullmatch(c) else c for c in column) for column in columns]
        yield {name: columns[place] for name, place in zip(wanted, places)}


def _records(path: Path, dialect: Dialect, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """(line on which it begins, cells) of each row that is not blank, the header first.

    Raises DataError for a quote left open; if `strict`, _Stray for one followed by more text of its cell.
    """
    csv.field_size_limit(LONGEST_CELL)  # csv's own limit is less than a long document
    with path.open(encoding=dialect.encoding, newline="") as file:
        reader = csv.reader(
            chain(file, (_END,)),
            delimiter=dialect.delimiter,
            quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
            skipinitialspace=True,
            strict=strict,
        )
        line, last = 1, [""]
        try:
            for cells in reader:
                if cells and cells[-1].endswith(_END):
                    last = cells
                elif len(cells) > 1 or (cells and cells[0].strip()):
                    yield line, cells
                line = reader.line_num + 1
        except csv.Error:
            raise _Stray(line) if strict else _unclosed(path, line) from None
        if last != [_END]:
            breaks = len(_BREAK.findall(last[-1])) + (not last[-1].endswith(("\n" + _END, "\r" + _END)))
            raise _unclosed(path, reader.line_num - breaks)


def _quoted(path: Path, dialect: Dialect) -> bool:
    """Whether quotes hold cells together; DataError for one that swallows rows.

    Many files of tabs have quotes that are characters like any other: so they are read when a quote would
    otherwise run over several lines though each line by itself is a row.
    """
    try:
        even, breaks = _survey(path, dialect, strict=True)
        stray = 0
    except _Stray as error:
        even, breaks, stray = False, True, error.line
    if dialect.delimiter == "\t" and (breaks or not even) and _survey(path, replace(dialect, quoted=False))[0]:
        return False
    if stray and _survey(path, dialect)[1]:
        raise _unclosed(path, stray, "swallows the lines after it")
    return True


def _survey(path: Path, dialect: Dialect, strict: bool = False) -> tuple[bool, bool]:
    """Whether all rows are as long as the header, and whether a cell has several lines."""
    even, breaks, width = True, False, 0
    for _, cells in _records(path, dialect, strict):
        width = width or len(cells)
        even = even and len(cells) == width
        breaks = breaks or _BREAK.search("".join(cells)) is not None
    return even, breaks


class _Stray(Exception):
    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def _encoding(path: Path) -> tuple[str, bool]:
    """(UTF-8, or UTF-16 where a byte order mark says so, else Latin-1, which any byte is; whether there are quotes).

    Raises DataError for NUL bytes and for a blank file.
    """
    with path.open("rb") as file:
        head = file.read(3)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        candidates = ["utf-16", "latin-1"]
    else:
        candidates = ["utf-8-sig" if head == b"\xef\xbb\xbf" else "utf-8", "latin-1"]
    for encoding in candidates:
        try:
            return encoding, _scan(path, encoding)
        except UnicodeDecodeError:
            continue
    raise AssertionError("Latin-1 reads any byte")


def _scan(path: Path, encoding: str) -> bool:
    """Read it all once for quotes; DataError if it is blank or holds a NUL."""
    blank, quotes, line = True, False, 1
    with path.open(encoding=encoding, newline="") as file:
        while block := file.read(_BLOCK):
            nul = block.find("\0")
            if nul >= 0:
                raise DataError(
                    f"There is a NUL byte on line {line + block.count(chr(10), 0, nul)} of {path.name}.",
                    "A table in text holds no NUL bytes: this one is damaged, binary, or UTF-16 without its mark.",
                    "Write it again as UTF-8.",
                )
            blank = blank and not block.strip()
            quotes = quotes or '"' in block
            line += block.count("\n")
    if blank:
        raise empty(path.name)
    return quotes


def _dialect(path: Path, encoding: str) -> Dialect | None:
    """The delimiter for which most rows have as many cells as the header, and the more the better."""
    candidates = ("\t", *DELIMITERS) if path.suffix.lower() == ".tsv" else DELIMITERS
    scores: dict[str, tuple[float, int]] = {}
    samples: dict[str, list[list[str]]] = {}
    for delimiter in dict.fromkeys(candidates):
        samples[delimiter] = rows = _sample(path, Dialect(encoding, delimiter))
        width = len(rows[0]) if rows else 0
        fit = sum(len(row) == width for row in rows[1:]) / max(1, len(rows) - 1)
        scores[delimiter] = (fit if len(rows) > 1 else 1.0, width) if width > 1 else (0.0, 0)
    best = max(scores, key=lambda d: scores[d])
    if scores[best][1] == 0:
        return None if path.suffix.lower() == ".txt" else Dialect(encoding, candidates[0])
    if path.suffix.lower() == ".txt" and (scores[best][0] < 1 or len(samples[best]) < 2):
        return None
    return Dialect(encoding, best, best != "," and _decimal_comma(samples[best][1:]))


def _sample(path: Path, dialect: Dialect) -> list[list[str]]:
    try:
        return [cells for _, cells in islice(_records(path, dialect), SAMPLE + 1)]
    except DataError:  # a quote left open: to be told when the file is read
        with path.open(encoding=dialect.encoding, newline="") as file:
            return [line.rstrip("\r\n").split(dialect.delimiter) for line in islice(file, SAMPLE + 1) if line.strip()]


def _decimal_comma(rows: Sequence[Sequence[str]]) -> bool:
    """Whether numbers are written 1,5. Three digits after each comma could as well be thousands."""
    found = [m[1] for row in rows for cell in row if (m := _COMMA.fullmatch(cell.strip()))]
    points = any(_POINT.fullmatch(cell.strip()) for row in rows for cell in row)
    return bool(found) and not points and any(len(digits) != 3 for digits in found)


def _unclosed(path: Path, line: int, what: str = "is never closed") -> DataError:
    return DataError(
        f"A quote opened on line {line} of {path.name} {what}.",
        'What follows a " belongs to one cell up to the next ".',
        'Close it, or write "" for a quote that belongs to the text.',
    )


def _ragged(path: Path, dialect: Dialect, line: int, cells: Sequence[str], width: int) -> DataError:
    swallowed = any(len(_BREAK.findall(cell)) > 1 for cell in cells)
    named = "tab" if dialect.delimiter == "\t" else f"'{dialect.delimiter}'"
    hint = (
        f"Look for a quote left open on line {line}." if swallowed else f"Put cells that contain a {named} in quotes."
    )
    return DataError(
        f"Line {line} of {path.name} has {len(cells)} cells, its header {width}.",
        "Every row has as many cells as the header has names.",
        hint,
    )
