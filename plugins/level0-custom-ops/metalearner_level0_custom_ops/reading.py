"""A program's numbers, read one after the other, and the memory that its steps speak of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .steps import NOTHING

if TYPE_CHECKING:
    from .program import Program

AXES = 16  # that a step may name at once
Place = tuple[int, int, int]  # an operand: base, numbers a row, where in them to begin


class Reader:
    """Reads steps, and hands their operands out as arrays (rows, *shape) on memory or constants."""

    def __init__(self, program: Program, rows: int, memory: np.ndarray) -> None:
        """`memory` (numbers a row * rows) float32."""
        self.code, self.at, self.rows = program.steps, 0, rows
        self.weights, self.memory = program.weights, memory

    def one(self) -> int:
        """The next number."""
        if self.at >= len(self.code):
            raise ValueError("the program ends in the middle of a step")
        self.at += 1
        return int(self.code[self.at - 1])

    def many(self, n: int) -> tuple[int, ...]:
        """The next numbers."""
        if not 0 <= n <= AXES:
            raise ValueError(f"a step with {n} axes")
        return tuple(self.one() for _ in range(n))

    def place(self) -> Place:
        """The next operand."""
        base, size, start = self.many(3)
        return base, size, start

    def read(self, place: Place, shape: Sequence[int], strides: Sequence[int] = (), kind: Any = np.float32) -> Any:
        """What a step reads, from memory or constants; strides in numbers of its kind, without them it lies close."""
        return self._array(place, shape, strides or close(shape), kind)

    def kept(self, place: Place, shape: Sequence[int], kind: Any = np.float32, needed: bool = True) -> Any:
        """A constant (*shape); None where it is left out, which what is not needed may be."""
        return None if place[0] == NOTHING else self._array(place, shape, close(shape), kind)[0]

    def write(self, place: Place, shape: Sequence[int], strides: Sequence[int] = (), kind: Any = np.float32) -> Any:
        """Where a step writes; None where nothing is run."""
        return self._array(place, shape, strides or close(shape), kind)

    def scratch(self, place: Place, words: int) -> None:
        """Memory that a step writes and reads for itself. NumPy needs none."""

    def worth(self, work: int, numbers: int = 0) -> None:
        """So many operations a row, and so many numbers laid out on the way."""

    def over(self) -> None:
        """A step has been read to its end."""

    def _array(self, place: Place, shape: Sequence[int], strides: Sequence[int], kind: Any) -> Any:
        base, size, start = place
        width = np.dtype(kind).itemsize
        constant = base < 0
        block = self.weights if constant else self.memory.view(np.uint8)
        begin = 4 * ((-1 - base) if constant else base * self.rows) + 4 * start
        flat = block[begin:].view(np.uint8)
        flat = flat[: len(flat) // width * width].view(kind)
        apart = 0 if constant else 4 * size
        return np.lib.stride_tricks.as_strided(flat, (self.rows, *shape), (apart, *(s * width for s in strides)))


def close(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of what lies in its own order without gaps."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))
