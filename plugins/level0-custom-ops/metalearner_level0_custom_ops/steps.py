"""The steps of a program before they are numbers: what each does, what it reads and where it writes. program.h does them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .signs import Convolution

DONE, MAP, REDUCE, MATMUL, CONV, PACK, SIGNS, POOL, GATHER = range(9)
KINDS = (
    "copy", "negate", "absolute", "exp", "log", "sqrt", "reciprocal", "relu", "sigmoid", "tanh", "erf", "floor", "round", "not",
    "sign", "softplus", "hardsigmoid", "sine", "cosine", "is_nan", "plus", "minus", "times", "over", "power", "less", "greater",
    "at_least", "at_most", "same", "both", "either", "larger", "smaller", "choose",
)  # fmt: skip
REDUCTIONS = ("sum", "mean", "most", "least", "product")
POOLS = ("most", "mean", "mean inside")
NOTHING = -(1 << 63)


class Unsupported(Exception):
    """A network that cannot be made a program; the message says what is in the way."""


@dataclass(eq=False)
class Buffer:
    """Numbers of one row of the batch that a step leaves for others."""

    size: int
    place: int = -1


@dataclass(eq=False)
class Constant:
    """Numbers that are known: float32, or whatever lies in the same bytes."""

    array: np.ndarray
    place: int = -1


Source = Buffer | Constant


@dataclass(frozen=True)
class Operand:
    """Where a step reads or writes: from `start` on; None is nothing at all."""

    source: Source | None
    start: int = 0

    def encoded(self) -> list[int]:
        """As program.h reads it."""
        if self.source is None:
            return [NOTHING, 0, 0]
        if isinstance(self.source, Constant):
            return [-1 - self.source.place, 0, self.start]
        return [self.source.place, self.source.size, self.start]


@dataclass
class Step(ABC):
    """One step; its operands by name, in the order in which program.h reads them."""

    out: Operand

    def operands(self) -> Iterator[tuple[str, Operand]]:
        """Those it reads."""
        for name, value in vars(self).items():
            if isinstance(value, Operand) and name != "out":
                yield name, value

    @abstractmethod
    def encoded(self) -> list[int]:
        """As program.h reads it."""


@dataclass
class Map(Step):
    """A number for each place of `shape`, from one to three others; `strides` of the result and of each."""

    kind: str
    shape: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    a: Operand
    b: Operand | None = None
    c: Operand | None = None

    def encoded(self) -> list[int]:
        """Code, kind, arity, rank, shape, then place and strides of each."""
        read = [o for o in (self.a, self.b, self.c) if o is not None]
        found = [MAP, KINDS.index(self.kind), len(read), len(self.shape), *self.shape]
        for operand, strides in zip((self.out, *read), self.strides):
            found += [*operand.encoded(), *strides]
        return found


@dataclass
class Reduce(Step):
    """One number for many: shape and strides of what stays and of what goes."""

    kind: str
    kept: tuple[int, ...]
    gone: tuple[int, ...]
    a: Operand
    across: tuple[int, ...]
    along: tuple[int, ...]

    def encoded(self) -> list[int]:
        """Code, kind, ranks, shapes, result, source, strides."""
        head = [REDUCE, REDUCTIONS.index(self.kind), len(self.kept), len(self.gone), *self.kept, *self.gone]
        return [*head, *self.out.encoded(), *self.a.encoded(), *self.across, *self.along]


@dataclass
class Matmul(Step):
    """(shape, M, K) by (shape, K, N) -> (shape, M, N); strides of both end with those of their last two axes."""

    shape: tuple[int, ...]
    size: tuple[int, int, int]
    a: Operand
    a_strides: tuple[int, ...]
    b: Operand
    b_strides: tuple[int, ...]

    def encoded(self) -> list[int]:
        """Code, rank, shape, M N K, result, a with strides, b with strides."""
        head = [MATMUL, len(self.shape), *self.shape, *self.size, *self.out.encoded()]
        return [*head, *self.a.encoded(), *self.a_strides, *self.b.encoded(), *self.b_strides]


def geometry(how: Convolution, height: int, width: int) -> list[int]:
    """As program.h reads it."""
    return [height, width, how.groups, how.channels, how.outputs, *how.kernel, *how.stride, *how.pad, *how.dilation]


@dataclass
class Conv(Step):
    """Plain numbers: x (height, width, channels), weights (kernel, channels, outputs)."""

    how: Convolution
    size: tuple[int, int]
    a: Operand
    weights: Operand

    def encoded(self) -> list[int]:
        """Code, shape, result, source, weights."""
        return [CONV, *geometry(self.how, *self.size), *self.out.encoded(), *self.a.encoded(), *self.weights.encoded()]


@dataclass
class Pool(Step):
    """Windows of (height, width, channels); at the far end one may reach over the edge, as `after` says."""

    kind: str
    how: Convolution
    size: tuple[int, int]
    after: tuple[int, int]
    a: Operand

    def encoded(self) -> list[int]:
        """Code, kind, size after, shape, result, source."""
        shape = geometry(self.how, *self.size)
        return [POOL, POOLS.index(self.kind), *self.after, *shape, *self.out.encoded(), *self.a.encoded()]


@dataclass
class Gather(Step):
    """Rows of a table (many, width) by number."""

    count: int
    width: int
    many: int
    table: Operand
    index: Operand
    stride: int

    def encoded(self) -> list[int]:
        """Code, sizes, result, table, numbers and the stride between them."""
        head = [GATHER, self.count, self.width, self.many, *self.out.encoded()]
        return [*head, *self.table.encoded(), *self.index.encoded(), self.stride]


@dataclass
class Pack(Step):
    """Signs of (places, groups * channels) as bits."""

    places: int
    groups: int
    channels: int
    a: Operand
    threshold: Operand

    def encoded(self) -> list[int]:
        """Code, sizes, result, source, thresholds."""
        head = [PACK, self.places, self.groups, self.channels, *self.out.encoded()]
        return [*head, *self.a.encoded(), *self.threshold.encoded()]


@dataclass
class Signs(Step):
    """A binary convolution of bits, and what becomes of its products."""

    how: Convolution
    size: tuple[int, int]
    a: Operand
    panels: Operand
    scratch: Buffer
    scale: Operand = field(default_factory=lambda: Operand(None))
    bias: Operand = field(default_factory=lambda: Operand(None))
    least: Operand = field(default_factory=lambda: Operand(None))
    flip: Operand = field(default_factory=lambda: Operand(None))

    @property
    def places(self) -> int:
        """Height times width of the result."""
        high, wide = self.how.after(*self.size)
        return high * wide

    def encoded(self) -> list[int]:
        """Code, shape, result, source, panels, scale, bias, thresholds and which are turned round, scratch."""
        parts: list[Any] = [self.out, self.a, self.panels, self.scale, self.bias, self.least, self.flip]
        head = [SIGNS, *geometry(self.how, *self.size)]
        return [*head, *(n for part in parts for n in part.encoded()), *Operand(self.scratch).encoded()]
