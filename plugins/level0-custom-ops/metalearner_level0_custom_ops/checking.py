"""A program looked through before anything runs it: whatever could leave its memory, hang or tell what it was not given is refused.

The kernels check nothing themselves. Nothing here trusts a number: programs come in bundles, and bundles from anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .reading import Place, Reader, close
from .steps import NOTHING

if TYPE_CHECKING:
    from .program import Program

LARGEST = (1 << 31) - 1  # any number in a program
MEMORY = 1 << 26  # numbers a row
WORK = 1 << 34  # operations a row
LAID = 1 << 28  # numbers that NumPy lays out at once, a row
OUTSIDE = "a step that reads or writes outside of its memory"


class Checker(Reader):
    """Reads a program as if to run it, and computes nothing.

    Memory is known as pieces, each with the numbers of a row that were written. A piece is named by where it begins and how
    long it is: only so it is the same places for any number of rows. Whoever writes to a piece ends all others that it
    overlaps; a step reads what was written, and never from where it writes.
    """

    def __init__(self, program: Program) -> None:
        super().__init__(program, 1, np.zeros(0, np.float32))
        self.size, self.work = program.memory, 0
        self.owner = np.zeros(program.memory, np.int32)  # of each number the piece, 0 none
        self.pieces: dict[int, tuple[int, int, np.ndarray]] = {}
        self.reads: list[tuple[Place, np.ndarray]] = []
        self.writes: list[tuple[Place, np.ndarray | None]] = []

    def read(self, place: Place, shape: Sequence[int], strides: Sequence[int] = (), kind: Any = np.float32) -> None:
        """Of memory only what was written."""
        spots = self._within(place, shape, strides or close(shape), kind)
        if place[0] >= 0:
            self.reads.append((place, spots))

    def kept(self, place: Place, shape: Sequence[int], kind: Any = np.float32, needed: bool = True) -> None:
        """It is among the constants, or allowed to be left out."""
        if place[0] == NOTHING and not needed:
            return
        if place[0] >= 0:
            raise ValueError("a step that takes a constant from memory")
        self._within(place, shape, close(shape), kind)

    def write(self, place: Place, shape: Sequence[int], strides: Sequence[int] = (), kind: Any = np.float32) -> None:
        """To memory, never to constants."""
        if place[0] < 0:
            raise ValueError("a step that writes to constants")
        spots = self._within(place, shape, strides or close(shape), kind)
        there = np.zeros(place[1], np.bool_)
        there[spots] = True
        if np.count_nonzero(there) != math.prod(shape) * (np.dtype(kind).itemsize // 4):
            raise ValueError("a step that writes to one place twice")
        self.writes.append((place, spots))

    def scratch(self, place: Place, words: int) -> None:
        """Nobody may read it afterwards."""
        self.write(place, (words,), kind=np.uint64)
        self.writes[-1] = (place, None)

    def worth(self, work: int, numbers: int = 0) -> None:
        """Raises ValueError where it is more than any network is meant to take."""
        self.work += work
        if self.work > WORK or numbers > LAID:
            raise ValueError("a program of more work than a network has")

    def over(self) -> None:
        """What the step reads was written, by others; what it writes may be read from now on."""
        for place, spots in self.reads:
            base, size, _ = place
            start, many, known = self.pieces.get(int(self.owner[base]), (-1, 0, None))
            if (start, many) != (base, size) or known is None or not known[spots].all():
                raise ValueError("a step that reads what no step has written")
        for (base, size, _), spots in self.writes:
            if any(base < b + n and b < base + size for (b, n, _), _ in self.reads):
                raise ValueError("a step that writes where it reads")
            self._own(base, size, spots)
        if len(self.writes) == 2 and self._overlap(self.writes[0][0], self.writes[1][0]):
            raise ValueError("a step whose scratch is its result")
        self.reads, self.writes = [], []

    @staticmethod
    def _overlap(a: Place, b: Place) -> bool:
        return a[0] < b[0] + b[1] and b[0] < a[0] + a[1]

    def _own(self, base: int, size: int, spots: np.ndarray | None) -> None:
        """A piece of memory in which a step wrote; None for scratch."""
        self.worth(size)
        mine = int(self.owner[base])
        if mine == 0 or self.pieces[mine][:2] != (base, size):
            for other in np.unique(self.owner[base : base + size]).tolist():
                if other:
                    begin, many, _ = self.pieces.pop(other)
                    self.owner[begin : begin + many] = 0
            mine = 1 + max(self.pieces, default=0)
            self.owner[base : base + size] = mine
            self.pieces[mine] = (base, size, np.zeros(size, np.bool_))
        known = self.pieces[mine][2]
        if spots is None:
            known[:] = False
        else:
            known[spots] = True

    def _within(self, place: Place, shape: Sequence[int], strides: Sequence[int], kind: Any) -> np.ndarray:
        """Which numbers of a row (or of the constants: none) an operand touches. Raises ValueError outside of them."""
        base, size, start = place
        wide = np.dtype(kind).itemsize
        if len(shape) != len(strides) or min((1, *shape)) < 1 or min((0, *strides)) < 0 or start < 0 or size < 0:
            raise ValueError(OUTSIDE)
        if base == NOTHING or max((start, size, abs(base), *shape, *strides)) > LARGEST:
            raise ValueError(OUTSIDE)
        if wide == 8 and any(n % 2 for n in ((base + 1 if base < 0 else base), size, start)):
            raise ValueError("words that begin in the middle of one")
        last = 4 * start + wide * (1 + sum((n - 1) * s for n, s in zip(shape, strides)))
        self.worth(math.prod(shape))
        if base < 0:
            if 4 * (-1 - base) + last > len(self.weights):
                raise ValueError(OUTSIDE)
            return np.zeros(0, np.int64)
        if wide < 4 or last > 4 * size or base + size > self.size:
            raise ValueError(OUTSIDE)
        spots = np.full(1, start, np.int64)
        for n, stride in zip(shape, strides):
            if stride and n > 1:  # what repeats is the same number
                spots = (spots[:, None] + np.arange(n) * (stride * wide // 4)).reshape(-1)
        return (spots[:, None] + np.arange(wide // 4)).reshape(-1)


def checked(program: Program) -> Checker:
    """Its inputs and output lie where they should, its numbers are numbers. Raises ValueError."""
    if not 0 < program.memory <= MEMORY:
        raise ValueError(f"a program that takes {program.memory:,} numbers a row; at most {MEMORY:,}")
    if not program.inputs or len({i.name for i in program.inputs}) < len(program.inputs):
        raise ValueError("a program without inputs, or with two of one name")
    sizes = [n for i in program.inputs for n in (i.size, i.place, i.step)]
    if min(sizes) < 0 or min(program.place, program.step, program.start) < 0 or program.width < 1:
        raise ValueError("a program whose inputs or output lie outside of its memory")
    code = program.steps
    if code.dtype != np.int64 or code.ndim != 1 or np.any((np.abs(code) > LARGEST) & (code != NOTHING)):
        raise ValueError("steps that are no row of whole numbers")
    found = Checker(program)
    for one in program.inputs:
        if one.size == 0:  # a view whose columns are all codes
            continue
        found.write((one.place, one.step, 0), (one.size,))
        if any(Checker._overlap((one.place, one.step, 0), (o.place, o.step, 0)) for o in program.inputs if o != one):
            raise ValueError("inputs that lie on one another")
        found.over()
    return found


def ended(checker: Checker, program: Program) -> None:
    """What comes out was written by then. Raises ValueError."""
    checker.read((program.place, program.step, program.start), (program.width,))
    checker.over()
