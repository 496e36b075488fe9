"""Programs done by NumPy, step by step as program.h does them: where nothing was compiled, and to check the kernels by.

Each step is read in one place, whether it is to be done or only looked at: `check` cannot know another program than `run`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import slowly
from .checking import checked, ended
from .reading import Reader
from .signs import PANEL, Convolution, Then, rows_of, words
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
RANK = 8  # axes that a step walks, as program.h has it
AT_ONCE = 1 << 24  # numbers that are laid out at once


def run(program: Program, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Inputs in their order (n, size) -> (n, width)."""
    rows, found = len(parts[0]), []
    step = max(1, min(64, AT_ONCE // program.memory))
    for i in range(0, rows, step):
        some = [p[i : i + step] for p in parts]
        many = len(some[0])
        reader = Reader(program, many, np.zeros(program.memory * many, np.float32))
        for one, part in zip(program.inputs, some):
            if one.size:
                reader.write((one.place, one.step, 0), (one.size,))[:] = part
        with np.errstate(all="ignore"):
            _through(reader)
        found.append(reader.read((program.place, program.step, program.start), (program.width,)).copy())
    return np.concatenate(found)


def check(program: Program) -> None:
    """Raises ValueError where a program is no program, leaves its memory or reads what it has not written."""
    checker = checked(program)
    _through(checker)
    ended(checker, program)


def _through(r: Reader) -> None:
    while (code := r.one()) != DONE:
        if code not in DOING:
            raise ValueError(f"a step of the kind {code}, which there is not")
        DOING[code](r)
        r.over()


def _map(r: Reader) -> None:
    kind, arity, rank = r.one(), r.one(), r.one()
    if not (0 <= kind < len(KINDS) and 1 <= rank <= RANK) or arity != arity_of(KINDS[kind]):
        raise ValueError("a step for each place that is none")
    shape = r.many(rank)
    to = r.write(r.place(), shape, r.many(rank))
    given = [r.read(r.place(), shape, r.many(rank)) for _ in range(arity)]
    if to is None:
        return
    name = KINDS[kind]
    if name == "choose":
        to[:] = np.where(given[0] != 0, given[1], given[2])
    elif name == "erf":
        to[:] = _erf(given[0])
    else:
        to[:] = TWO[name](*given) if name in TWO else ONE[name](*given)


def arity_of(name: str) -> int:
    """How many numbers one is made from."""
    return 3 if name == "choose" else 2 if name in TWO else 1


def _erf(x: np.ndarray) -> np.ndarray:
    from math import erf

    return np.vectorize(erf, otypes=[np.float32])(x)


def _reduce(r: Reader) -> None:
    kind, kept, gone = r.one(), r.one(), r.one()
    if not (0 <= kind < len(REDUCTIONS) and 0 <= kept <= RANK and 0 <= gone <= RANK):
        raise ValueError("a sum that is none")
    left, away = r.many(kept), r.many(gone)
    to = r.write(r.place(), left)
    source = r.place()
    x = r.read(source, (*left, *away), (*r.many(kept), *r.many(gone)))
    if to is not None:
        axes = tuple(range(1 + kept, 1 + kept + gone))
        to[:] = REDUCING[REDUCTIONS[kind]](x.astype(np.float64), axis=axes)


def _matmul(r: Reader) -> None:
    rank = r.one()
    if not 0 <= rank <= RANK:
        raise ValueError(f"a product over {rank} axes")
    shape, (m, n, k) = r.many(rank), r.many(3)
    to = r.write(r.place(), (*shape, m, n))
    a = r.place()
    left = r.read(a, (*shape, m, k), r.many(rank + 2))
    b = r.place()
    right = r.read(b, (*shape, k, n), r.many(rank + 2))
    r.worth(abs(math.prod((*shape, m, n, k))))
    if to is not None:
        to[:] = left @ right


def _shape(r: Reader) -> tuple[Convolution, tuple[int, int], tuple[int, int]]:
    """Geometry, size and size after."""
    n = r.many(13)
    how = Convolution(n[3], n[4], n[5:7], n[7:9], n[9:11], n[11:13], n[2])  # type: ignore[arg-type]
    after = how.after(n[0], n[1])
    padded = math.prod(s + 2 * p + t for s, p, t in zip(n[:2], how.pad, how.stride))
    taps = math.prod((*after, *how.kernel))
    r.worth(taps * how.channels * how.outputs, max(padded, taps) * how.channels * how.groups)
    return how, (n[0], n[1]), after


def _windows(x: np.ndarray, how: Convolution, after: tuple[int, int], blank: float) -> np.ndarray:
    """(n, height, width, c) -> (n, height', width', kh, kw, c)."""
    (down, across), (kh, kw) = how.pad, how.kernel
    padded = np.pad(x, ((0, 0), (down, down), (across, across), (0, 0)), constant_values=blank)
    rows = np.arange(after[0])[:, None] * how.stride[0] + np.arange(kh) * how.dilation[0]
    columns = np.arange(after[1])[:, None] * how.stride[1] + np.arange(kw) * how.dilation[1]
    return padded[:, rows[:, None, :, None], columns[None, :, None, :]]


def _conv(r: Reader) -> None:
    how, size, after = _shape(r)
    taps = (*how.kernel, how.channels, how.outputs)
    to = r.write(r.place(), (*after, how.outputs))
    x = r.read(r.place(), (*size, how.groups * how.channels))
    weights = r.kept(r.place(), taps)
    if to is not None:
        seen = _windows(x, how, after, 0.0).reshape(r.rows, *after, *how.kernel, how.groups, how.channels)
        apart = weights.reshape(*how.kernel, how.channels, how.groups, how.outputs // how.groups)
        to[:] = np.einsum("nhwijgc,ijcgo->nhwgo", seen, apart, optimize=True).reshape(to.shape)


def _pool(r: Reader) -> None:
    kind, after = r.one(), r.many(2)
    how, size, floor = _shape(r)
    if not 0 <= kind < len(POOLS) or how.groups != 1 or any(not f <= n <= f + 1 for n, f in zip(after, floor)):
        raise ValueError("a pool that is none")
    r.worth(0, math.prod((*after, *how.kernel)) * how.outputs)
    to = r.write(r.place(), (*after, how.outputs))
    x = r.read(r.place(), (*size, how.outputs))
    if to is None:
        return
    blank = -np.inf if POOLS[kind] == "most" else 0.0
    spare = ((0, 0), (0, how.stride[0]), (0, how.stride[1]), (0, 0))  # a last window may reach over the edge
    seen = _windows(np.pad(x, spare, constant_values=blank), how, (after[0], after[1]), blank)
    if POOLS[kind] == "most":
        to[:] = seen.max((3, 4))
        return
    many = np.float32(math.prod(how.kernel))
    if POOLS[kind] == "mean inside":
        there = np.pad(np.ones_like(x[:1, :, :, :1]), spare)
        many = _windows(there, how, (after[0], after[1]), 0.0).sum((3, 4))
    to[:] = seen.sum((3, 4)) / many


def _gather(r: Reader) -> None:
    count, width, many = r.many(3)
    to = r.write(r.place(), (count, width))
    rows = r.kept(r.place(), (many, width))
    place = r.place()
    numbers = r.read(place, (count,), (r.one(),))
    if to is not None:
        to[:] = rows[np.nan_to_num(numbers).clip(0, many - 1).astype(np.int64)]


def _pack(r: Reader) -> None:
    places, groups, channels = r.many(3)
    if min(places, groups, channels) < 1:
        raise ValueError(f"signs of {places} places, {groups} groups and {channels} channels")
    to = r.write(r.place(), (places, groups, words(channels)), kind=np.uint64)
    x = r.read(r.place(), (places, groups * channels))
    threshold = r.kept(r.place(), (groups * channels,), needed=False)
    if to is not None:
        to[:] = slowly.pack(np.ascontiguousarray(x), threshold, groups)


def _signs(r: Reader) -> None:
    how, size, after = _shape(r)
    out, source, panels = r.place(), r.place(), r.place()
    spots = [r.place() for _ in range(4)]
    straight = spots[2][0] != NOTHING  # on to the next signs
    kinds = zip(spots, (np.float32, np.float32, np.int32, np.uint8), (False, False, False, straight))
    then = Then(*(r.kept(spot, (how.outputs,), kind, needed) for spot, kind, needed in kinds))
    deep, each = math.prod(how.kernel) * how.words, how.outputs // how.groups
    x = r.read(source, (*size, how.groups, how.words), kind=np.uint64)
    laid = r.kept(panels, (how.groups, -(-each // PANEL), deep, PANEL), np.uint64)
    r.scratch(r.place(), PANEL * deep)
    last, kind = (words(how.outputs), np.uint64) if straight else (how.outputs, np.float32)
    to = r.write(out, (*after, last), kind=kind)
    if to is not None:
        weights = [rows_of(one, each) for one in laid]
        whole = slowly.convolve(np.ascontiguousarray(x), weights, how, after)
        to[:] = slowly.finished(whole, then)


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
