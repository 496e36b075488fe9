"""Which kind of column it is, from what was counted in its cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from metalearner.records import Column, Schema
from metalearner.tables.cells import FALSE, LONGEST, TRUE, Cells, dashes, nested, numbers, words

from . import dates

LEFT_OUT = "left out: "
TARGETS = ("target", "label", "class", "y", "outcome")

PICTURE = 36  # numbers that vary, from which on a table may be a picture
NUMBERS_SHARE = 0.98  # of the present values must be numbers
UNIQUE_SHARE, UNIQUE_ROWS = 0.98, 20  # an identifier is different in so many of at least so many rows
MOST_LEVELS = 1000
MOST_COUNTED = 10_000  # distinct values after which a column's are no longer counted
TEXT_LENGTH, TEXT_WORDS, TEXT_UNIQUE = 40, 5, 0.5

_ID_NAME = re.compile(
    r"(.*[_ .-])?(id|uuid|guid|index|no|nr|rowid|row|rownames?)|column \d+|__index_level_\d+__|unnamed: ?\d+", re.I
)
_CAMEL_ID = re.compile(r".*[a-z](Id|ID|No)")


def used(schema: Schema) -> list[Column]:
    """The columns a model can learn from, in the schema's order."""
    kinds = ("number", "boolean", "date", "category")
    return [c for c in schema.columns if c.kind in kinds and not c.note.startswith(LEFT_OUT)]


def target_hint(names: tuple[str, ...]) -> str:
    """The column whose name says that it is the target; empty when there is none."""
    by_name = {name.lower(): name for name in reversed(names)}
    return next((by_name[t] for t in TARGETS if t in by_name), "")


def with_edges(columns: Sequence[Column], constant: Sequence[bool]) -> tuple[Column, ...]:
    """Numbers that never vary are kept where they lie among many that do.

    They may be the edge of a picture that was written out cell by cell: without them its rows would not lie below each other.
    """
    edges = [c.kind == "number" and same for c, same in zip(columns, constant)]
    vary = sum(c.kind in ("number", "boolean") and not c.left_out for c in columns)
    if vary < max(PICTURE, sum(edges)):
        return tuple(columns)
    return tuple(replace(c, note="never varies, kept for its place") if edge else c for c, edge in zip(columns, edges))


class Tally:
    """What was counted in one column, a chunk of cells at a time."""

    def __init__(self, name: str, declared: bool = False) -> None:
        """`declared`: the source itself says that the column is a category."""
        self.name, self.declared = name, declared
        self.rows = self.missing = self.numeric = 0
        self.dashes = 0  # counted as missing, unless there is a "+" too
        self.counts: Counter[str] = Counter()
        self.counted = 0  # present values in `counts`
        self.nested = False
        self.numbers_rows = True  # so far 1, 2, 3 ... from any first number
        self.next_row = np.nan

    def add(self, cells: Cells) -> None:
        """Count the next cells."""
        self.nested = self.nested or nested(cells)
        self.rows += len(cells)
        self.dashes += 0 if isinstance(cells, np.ndarray) and cells.dtype.kind != "O" else dashes(cells)
        if len(self.counts) > MOST_COUNTED:  # enough is known of its words
            values = numbers(cells)
            known = np.isfinite(values)
            self.numeric += int(known.sum())
            self.missing += words([cells[i] for i in np.flatnonzero(~known).tolist()]).count("")
        else:
            found = Counter(words(cells))
            self.missing += found.pop("", 0)
            self.counts.update(found)
            self.counted += found.total()
            values = numbers(list(found))
            self.numeric += int(np.fromiter(found.values(), np.int64, len(found))[np.isfinite(values)].sum())
        # a Counter keeps the order in which things came, so that of distinct cells it is that of the rows
        self.numbers_rows = self.numbers_rows and len(values) == len(cells) and self._goes_on(values)

    @property
    def present(self) -> int:
        """Cells that are not missing."""
        return self.rows - self.missing

    @property
    def constant(self) -> bool:
        """Whether the same value stands in every row."""
        return len(self.counts) == 1 and not self.missing

    def column(self) -> tuple[Column, str]:
        """The column, and the format of its dates if that is its kind."""
        if "+" in self.counts and self.dashes:
            self.counts["-"], self.counted = self.dashes, self.counted + self.dashes
            self.missing, self.dashes = self.missing - self.dashes, 0
        kind, note, written = self._kind()
        if not self.present:
            note = f"{LEFT_OUT}no value in any row"
        elif self.constant:
            note = f"{LEFT_OUT}'{next(iter(self.counts))[:40]}' in every row"
        levels: tuple[str, ...] = ()
        if kind in ("category", "boolean"):
            ranked = sorted(self.counts.items(), key=lambda level: (-level[1], level[0]))
            levels = tuple(word[:LONGEST] for word, _ in ranked[:MOST_LEVELS])
            if len(ranked) > MOST_LEVELS:
                more = "at least " if self.counted < self.present else ""
                note = f"{more}{len(ranked)} levels, the {MOST_LEVELS} most frequent kept"
            if not note and self.name in self.counts:
                note = "its name is one of its values: is the first line a row, not names?"
        return Column(self.name, kind, self.missing / max(1, self.rows), levels, note), written

    def _kind(self) -> tuple[str, str, str]:
        """(kind, note, format of dates)."""
        if not self.present:
            return "number", "", ""
        if self.nested:
            return "text", f"{LEFT_OUT}lists, objects or bytes", ""
        if self.declared:
            return "category", "", ""
        if self._boolean():
            return "boolean", "", ""
        if self.numeric >= NUMBERS_SHARE * self.present:
            return self._number()
        if len(self.counts) == 1:
            return "category", "", ""
        if written := dates.find_format(self.counts):
            return "date", "", written
        if self._text():
            return "text", f"{LEFT_OUT}free text, which needs a modality for text", ""
        if self._unique() and self.name.lower() not in TARGETS:
            return "identifier", f"{LEFT_OUT}unique for each row", ""
        return "category", "", ""

    def _number(self) -> tuple[str, str, str]:
        whole = all(w.lstrip("-").isdigit() for w in self.counts)
        if whole and self.name.lower() not in TARGETS and self.rows >= UNIQUE_ROWS:
            if self.numbers_rows:
                return "identifier", f"{LEFT_OUT}numbers the rows", ""
            if self._unique() and (_ID_NAME.fullmatch(self.name) or _CAMEL_ID.fullmatch(self.name)):
                return "identifier", f"{LEFT_OUT}unique for each row", ""
        if len(self.counts) == 1 and self.missing:
            return "category", "", ""  # all that varies is whether it is there
        wrong = self.present - self.numeric
        return "number", f"{wrong} values are no numbers and count as missing" if wrong else "", ""

    def _boolean(self) -> bool:
        found = {w.lower() for w in self.counts} if len(self.counts) <= 8 else set()
        return len(found) == 2 and bool(found & set(TRUE)) and bool(found & set(FALSE))

    def _unique(self) -> bool:
        return self.present >= UNIQUE_ROWS and len(self.counts) > UNIQUE_SHARE * self.counted

    def _text(self) -> bool:
        """Long, of several words each, and mostly different."""
        if len(self.counts) <= TEXT_UNIQUE * self.counted:
            return False
        length = sum(len(w) * n for w, n in self.counts.items()) / self.counted
        spoken = sum((w.count(" ") + 1) * n for w, n in self.counts.items()) / self.counted
        return spoken > TEXT_WORDS or (length > TEXT_LENGTH and spoken > 2)

    def _goes_on(self, values: np.ndarray) -> bool:
        if not len(values):
            return True
        expected = values[0] if np.isnan(self.next_row) else self.next_row
        self.next_row = values[-1] + 1
        return bool(np.array_equal(values, expected + np.arange(len(values))))
