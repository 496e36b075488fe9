"""Programs done by NumPy, step by step as program.h does them: where nothing was compiled, and to check the kernels by.

`check` looks through a program before anything runs it: one that reads or writes outside of its memory is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import slowly
from .signs import PANEL, Convolution, rows_of, words
from .steps import CONV, DONE, GATHER, KINDS, MAP, MATMUL, NOTHING, PACK, POOL, POOLS, REDUCE, REDUCTIONS, SIGNS

if TYPE_CHECKING:
    from .program import Program

ONE: dict[str, Callable[[Any], Any]] = {
    "copy": lambda x: x, "negate": np.negative, "absolute": np.abs, "exp": np.exp, "log": np.log, "sqrt": np.sqrt,
    "reciprocal": np.reciprocal, "relu": lambda x: np.where(x > 0, x, np.float32(0)), "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "floor": np.floor, "round": np.round, "not": lambda x: x == 0, "sign": np.sign,
    "softplus": lambda x: np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20)))), "sine": np.sin, "cosine": np.cos,
    "hardsigmoid": lambda x: np.clip(x / np.float32(6) + np.float32(0.5), 0, 1), "is_nan": np.isnan,
}  # fmt: skip
TWO: dict[str, Callable[[Any, Any], Any]] = {
    "plus": np.add, "minus": np.subtract, "times": np.multiply, "over": np.divide, "power": np.power, "less": np.less,
    "greater": np.greater, "at_least": np.greater_equal, "at_most": np.less_equal, "same": np.equal,
    "both": lambda x, y: (x != 0) & (y != 0), "either": lambda x, y: (x != 0) | (y != 0),
    "larger": lambda x, y: np.where(x > y, x, y), "smaller": lambda x, y: np.where(x < y, x, y),
}  # fmt: skip
REDUCING: dict[str, Callable[..., Any]] = {
    "sum": np.sum, "mean": np.mean, "most": np.max, "least": np.min, "product": np.prod,
}  # fmt: skip
LARGEST = 1 << 31


class Reader:
    """Reads a program's numbers, and finds its memory."""

    def __init__(self, program: Program, rows: int, memory: np.ndarray | None) -> None:
        """`memory` (numbers a row * rows) float32; None where nothing is run, only looked at."""
        self.code, self.at, self.rows, self.memory = program.steps, 0, rows, memory
        self.weights, self.size = program.weights, program.memory

    def one(self) -> int:
        """The next number."""
        if self.at >= len(self.code):
            raise ValueError("the program ends in the middle of a step")
        self.at += 1
        return int(self.code[self.at - 1])

    def many(self, n: int) -> tuple[int, ...]:
        """The next numbers."""
        if not 0 <= n <= 64:
            raise ValueError(f"a step with {n} axes")
        return tuple(self.one() for _ in range(n))

    def place(self) -> tuple[int, int, int]:
        """An operand's base, size and start."""
        base, size, start = self.many(3)
        return base, size, start

    def view(
        self, operand: tuple[int, int, int], shape: Sequence[int], strides: Sequence[int], kind: Any = np.float32
    ) -> Any:
        """An array (rows, *shape) on memory or constants; strides in numbers of its kind. Raises ValueError outside of them."""
        base, size, start = operand
        if base == NOTHING:
            return None
        width = np.dtype(kind).itemsize
        if (
            min(shape, default=1) < 1
            or min(strides, default=0) < 0
            or start < 0
            or max([start, size, *shape, *strides]) > LARGEST
        ):
            raise ValueError("a step that reads or writes outside of its memory")
        last = 4 * start + width * (1 + sum((n - 1) * s for n, s in zip(shape, strides)))
        apart = 0 if base < 0 else size
        inside = (
            4 * (-1 - base) + last <= len(self.weights) if base < 0 else (last <= 4 * size and base + size <= self.size)
        )
        if not inside:
            raise ValueError("a step that reads or writes outside of its memory")
        if self.memory is None:
            return None
        block = self.weights if base < 0 else self.memory.view(np.uint8)
        begin = 4 * ((-1 - base) if base < 0 else base * self.rows) + 4 * start
        flat = block[begin:].view(np.uint8)
        flat = flat[: len(flat) // width * width].view(kind)
        return np.lib.stride_tricks.as_strided(flat, (self.rows, *shape), (4 * apart, *(s * width for s in strides)))


def run(program: Program, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Inputs in their order (n, size) -> (n, width)."""
    rows, found = len(parts[0]), []
    for i in range(0, rows, 64):
        some = [p[i : i + 64] for p in parts]
        many = len(some[0])
        memory = np.zeros(program.memory * many, np.float32)
        reader = Reader(program, many, memory)
        for one, part in zip(program.inputs, some):
            reader.view((one.place, one.step, 0), (one.size,), (1,))[:] = part
        with np.errstate(all="ignore"):
            _through(reader)
        found.append(reader.view((program.place, program.step, program.start), (program.width,), (1,)).copy())
    return np.concatenate(found)


def check(program: Program) -> None:
    """Raises ValueError where a program is no program, or leaves its memory."""
    if (
        not program.inputs
        or program.place < 0
        or any(i.place < 0 for i in program.inputs)
        or not 0 < program.memory < LARGEST
    ):
        raise ValueError("a program whose inputs or output lie outside of its memory")
    reader = Reader(program, 1, None)
    for one in program.inputs:
        reader.view((one.place, one.step, 0), (one.size,), (1,))
    reader.view((program.place, program.step, program.start), (program.width,), (1,))
    _through(reader)


def _through(r: Reader) -> None:
    while (code := r.one()) != DONE:
        if code not in DOING:
            raise ValueError(f"a step of the kind {code}, which there is not")
        DOING[code](r)


def _map(r: Reader) -> None:
    kind, arity, rank = r.one(), r.one(), r.one()
    if not (0 <= kind < len(KINDS) and 1 <= arity <= 3 and 1 <= rank <= 8):
        raise ValueError("a step for each place that is none")
    shape = r.many(rank)
    views = []
    for _ in range(1 + arity):
        place = r.place()
        views.append(r.view(place, shape, r.many(rank)))
    if views[0] is None:
        return
    name, given = KINDS[kind], views[1:]
    if name == "choose":
        views[0][:] = np.where(given[0] != 0, given[1], given[2])
    elif name == "erf":
        views[0][:] = _erf(given[0])
    else:
        views[0][:] = TWO[name](*given) if name in TWO else ONE[name](*given)


def _erf(x: np.ndarray) -> np.ndarray:
    from math import erf

    return np.vectorize(erf, otypes=[np.float32])(x)


def _reduce(r: Reader) -> None:
    kind, kept, gone = r.one(), r.one(), r.one()
    left, away = r.many(kept), r.many(gone)
    out, source = r.place(), r.place()
    across, along = r.many(kept), r.many(gone)
    if not 0 <= kind < len(REDUCTIONS):
        raise ValueError("a sum that is none")
    to = r.view(out, left, _contiguous(left))
    x = r.view(source, (*left, *away), (*across, *along))
    if to is not None:
        axes = tuple(range(1 + kept, 1 + kept + gone))
        to[:] = REDUCING[REDUCTIONS[kind]](x.astype(np.float64), axis=axes)


def _matmul(r: Reader) -> None:
    rank = r.one()
    shape, (m, n, k) = r.many(rank), r.many(3)
    out, a = r.place(), r.place()
    left = r.view(a, (*shape, m, k), r.many(rank + 2))
    b = r.place()
    right = r.view(b, (*shape, k, n), r.many(rank + 2))
    to = r.view(out, (*shape, m, n), _contiguous((*shape, m, n)))
    if to is not None:
        to[:] = left @ right


def _shape(r: Reader) -> tuple[Convolution, tuple[int, int], tuple[int, int]]:
    n = r.many(13)
    how = Convolution(n[3], n[4], n[5:7], n[7:9], n[9:11], n[11:13], n[2])  # type: ignore[arg-type]
    return how, (n[0], n[1]), how.after(n[0], n[1])


def _windows(x: np.ndarray, how: Convolution, after: tuple[int, int], blank: float) -> np.ndarray:
    """(n, height, width, c) -> (n, height', width', kh, kw, c)."""
    (down, across), (kh, kw) = how.pad, how.kernel
    padded = np.pad(x, ((0, 0), (down, down), (across, across), (0, 0)), constant_values=blank)
    rows = np.arange(after[0])[:, None] * how.stride[0] + np.arange(kh) * how.dilation[0]
    columns = np.arange(after[1])[:, None] * how.stride[1] + np.arange(kw) * how.dilation[1]
    return padded[:, rows[:, None, :, None], columns[None, :, None, :]]


def _conv(r: Reader) -> None:
    how, size, after = _shape(r)
    out, source, kept = r.place(), r.place(), r.place()
    all_of = how.groups * how.channels
    taps = (*how.kernel, how.channels, how.outputs)
    to = r.view(out, (*after, how.outputs), _contiguous((*after, how.outputs)))
    x = r.view(source, (*size, all_of), _contiguous((*size, all_of)))
    weights = r.view(kept, taps, _contiguous(taps))
    if to is not None:
        seen = _windows(x, how, after, 0.0).reshape(r.rows, *after, *how.kernel, how.groups, how.channels)
        apart = weights[0].reshape(*how.kernel, how.channels, how.groups, how.outputs // how.groups)
        to[:] = np.einsum("nhwijgc,ijcgo->nhwgo", seen, apart, optimize=True).reshape(to.shape)


def _pool(r: Reader) -> None:
    kind, after = r.one(), r.many(2)
    how, size, floor = _shape(r)
    out, source = r.place(), r.place()
    if not 0 <= kind < len(POOLS) or any(not f <= n <= f + 1 for n, f in zip(after, floor)):
        raise ValueError("a pool that is none")
    to = r.view(out, (*after, how.outputs), _contiguous((*after, how.outputs)))
    x = r.view(source, (*size, how.outputs), _contiguous((*size, how.outputs)))
    if to is None:
        return
    spare = list(how.stride)  # room for a last window that reaches over the edge
    wide = np.pad(x, ((0, 0), (0, spare[0]), (0, spare[1]), (0, 0)), constant_values=np.nan)
    seen = _windows(wide, how, (after[0], after[1]), np.nan)
    if POOLS[kind] == "most":
        to[:] = np.nanmax(seen, (3, 4))
    elif POOLS[kind] == "mean":
        to[:] = np.nansum(seen, (3, 4)) / np.float32(how.kernel[0] * how.kernel[1])
    else:
        to[:] = np.nansum(seen, (3, 4)) / (~np.isnan(seen)).sum((3, 4))


def _gather(r: Reader) -> None:
    count, width, many = r.many(3)
    out, table, index = r.place(), r.place(), r.place()
    to = r.view(out, (count, width), (width, 1))
    rows = r.view(table, (many, width), (width, 1))
    numbers = r.view(index, (count,), (r.one(),))
    if to is not None:
        to[:] = rows[0][np.nan_to_num(numbers).clip(0, many - 1).astype(np.int64)]


def _pack(r: Reader) -> None:
    places, groups, channels = r.many(3)
    out, source, kept = r.place(), r.place(), r.place()
    deep = words(channels)
    to = r.view(out, (places, groups, deep), _contiguous((places, groups, deep)), np.uint64)
    x = r.view(source, (places, groups * channels), (groups * channels, 1))
    threshold = r.view(kept, (groups * channels,), (1,))
    if to is not None:
        to[:] = slowly.pack(np.ascontiguousarray(x), None if threshold is None else threshold[0], groups)


def _signs(r: Reader) -> None:
    from .signs import Then

    how, size, after = _shape(r)
    out, source, kept = r.place(), r.place(), r.place()
    kinds = (np.float32, np.float32, np.int32, np.uint8)
    spots = [r.place() for _ in kinds]
    then = [r.view(spot, (how.outputs,), (1,), kind) for spot, kind in zip(spots, kinds)]
    named = spots[2][0] != NOTHING  # it goes straight on to the next signs
    scratch = r.place()
    deep, each = how.kernel[0] * how.kernel[1] * how.words, how.outputs // how.groups
    x = r.view(source, (*size, how.groups, how.words), _contiguous((*size, how.groups, how.words)), np.uint64)
    laid = (how.groups, -(-each // PANEL), deep, PANEL)
    panels = r.view(kept, laid, _contiguous(laid), np.uint64)
    r.view(scratch, (PANEL * deep,), (1,), np.uint64)
    last = words(how.outputs) if named else how.outputs
    to = r.view(out, (*after, last), _contiguous((*after, last)), np.uint64 if named else np.float32)
    if to is not None:
        weights = [rows_of(one, each) for one in panels[0]]
        scale, bias, least, flip = (None if part is None else part[0] for part in then)
        whole = slowly.convolve(np.ascontiguousarray(x), weights, how, after)
        to[:] = slowly.finished(whole, Then(scale, bias, least, flip))


def _contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


DOING = {
    MAP: _map,
    REDUCE: _reduce,
    MATMUL: _matmul,
    CONV: _conv,
    PACK: _pack,
    SIGNS: _signs,
    POOL: _pool,
    GATHER: _gather,
}
