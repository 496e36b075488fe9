"""Texts as they travel: UTF-8 bytes in arrays, so that one long text does not make all others wide."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metalearner.arrays import Ragged, Tensor

# Characters of a text that are read; of longer ones the beginning.
LONGEST = 100_000
# What is one token: a word, a character of a script without blanks, or any other sign.
TOKEN = re.compile(r"[぀-ヿ㐀-鿿가-힯]|[^\W぀-ヿ㐀-鿿가-힯]+(?:'\w+)?|[^\w\s]")
# A text has so many words or so many characters on average, and so many of them differ.
WORDS, CHARACTERS, UNIQUE = 3.0, 40.0, 0.5
UNSPACED = 6.0  # characters, where they are of a script without blanks


def written(cell: Any) -> str:
    """A cell of any type as a text, "" where it is missing.

    >>> written(" Well. "), written(None), written(float("nan")), written(b"caf\\xc3\\xa9"), written([1, "a"])
    (' Well. ', '', '', 'café', '[1, "a"]')
    """
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", "replace")
    if isinstance(cell, str):
        return cell[:LONGEST].replace("\0", " ")
    if cell is None or (isinstance(cell, float | np.floating) and not np.isfinite(cell)):
        return ""
    if isinstance(cell, dict | list | tuple):
        return json.dumps(cell, default=str, ensure_ascii=False)[:LONGEST]
    return str(cell)


@dataclass
class Counts:
    """What there is to tell of cells that should hold texts."""

    empty: int = 0
    long: int = 0
    others: int = 0

    def add(self, cell: Any) -> None:
        """Take one in."""
        text = written(cell)
        self.empty += not text.strip()
        self.long += isinstance(cell, str | bytes) and len(cell) > LONGEST
        self.others += bool(text.strip()) and not isinstance(cell, str | bytes)

    @property
    def note(self) -> str:
        """For people; empty where there is nothing."""
        told = [
            f"{self.empty:,} texts are empty" if self.empty else "",
            f"{self.long:,} texts are longer than {LONGEST:,} characters, of these the beginning is used"
            if self.long
            else "",
            f"{self.others:,} cells are no texts, these are read as they would be written" if self.others else "",
        ]
        return "; ".join(filter(None, told))


def are_texts(cells: Sequence[Any]) -> bool:
    """Whether cells hold texts, rather than words, names or numbers."""
    found = [w.strip() for cell in cells if (w := written(cell)).strip() and isinstance(cell, str | bytes)]
    if not found or len(found) < 0.5 * sum(bool(written(c).strip()) for c in cells):
        return False
    letters = sum(sum(ch.isalpha() for ch in text) for text in found) / max(1, sum(map(len, found)))
    words = np.mean([len(text.split()) for text in found])
    characters = np.mean([len(text) for text in found])
    unspaced = np.mean([bool(re.search(r"[぀-ヿ㐀-鿿가-힯]", text)) for text in found]) > 0.5
    long = (characters >= CHARACTERS and words >= 2) or words >= WORDS or (unspaced and characters >= UNSPACED)
    return bool(long and letters > 0.3 and len(set(found)) >= UNIQUE * len(found))


def packed(texts: Iterable[str]) -> Ragged:
    """UTF-8 bytes of each."""
    found = [text.encode("utf-8", "replace") for text in texts]
    return Ragged(np.frombuffer(b"".join(found), np.uint8), np.cumsum([0, *map(len, found)]).astype(np.int64))


def unpacked(found: Ragged) -> list[str]:
    """What `packed` was given."""
    return [np.asarray(one).tobytes().decode("utf-8", "replace") for one in found]


def raw(found: Ragged, longest: int) -> Tensor:
    """Bytes (n, at most longest) uint8, filled up with 0, which no text has."""
    width = min(longest, int(found.lengths.max(initial=0)))
    values = np.zeros((len(found), width), np.uint8)
    for row, text in zip(values, found):
        some = np.asarray(text).reshape(-1)[:width]
        row[: len(some)] = some
    return Tensor(values)


def texts_of(tensor: Tensor) -> list[str]:
    """What `raw` was given; a character that was cut in two is gone."""
    return [row.tobytes().rstrip(b"\0").decode("utf-8", "ignore") for row in np.ascontiguousarray(tensor.values)]


def tokens(text: str) -> list[str]:
    """Words in lower case, and signs.

    >>> tokens("Don't panic: 42!")
    ["don't", 'panic', ':', '42', '!']
    """
    return TOKEN.findall(text.lower())
