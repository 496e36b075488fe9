"""Arrays of signs as bits: packed, multiplied, convolved. By the compiled kernels, or by NumPy with the same results.

A row of C channels is a row of ceil(C / 64) words, groups apart from each other: bit 1 where a number is at least its
threshold, 0 where it is not or is NaN. Products of signs are whole numbers, so that all ways agree to the last bit.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import library, slowly
from .library import Shape, Sink

PANEL = 8  # outputs side by side, as bits.h has it
LONGEST = 1 << 24  # signs in one product: float32 holds what comes out exactly


@dataclass(frozen=True)
class Convolution:
    """The geometry of a convolution over (height, width); a series has height 1. What is outside counts as -1."""

    channels: int  # of one group
    outputs: int  # of all groups
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        pairs = (*self.kernel, *self.stride, *self.dilation)
        if min(self.channels, self.outputs, self.groups, *pairs) < 1 or min(self.pad) < 0 or self.outputs % self.groups:
            raise ValueError(f"{self}: sizes are at least 1, padding at least 0, outputs a multiple of groups")
        if self.length > LONGEST:
            raise ValueError(f"a product of {self.length:,} signs; at most {LONGEST:,} are exact")

    @property
    def length(self) -> int:
        """Signs in one product."""
        return self.kernel[0] * self.kernel[1] * self.channels

    @property
    def words(self) -> int:
        """Words of one tap."""
        return words(self.channels)

    def after(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what comes out. Raises ValueError where the kernel does not fit."""
        sizes = []
        for size, k, s, p, d in zip((height, width), self.kernel, self.stride, self.pad, self.dilation):
            span = size + 2 * p - d * (k - 1) - 1
            if span < 0 or size < 1:
                raise ValueError(f"a kernel of {k} with dilation {d} does not fit into {size} + 2 * {p}")
            sizes.append(span // s + 1)
        return sizes[0], sizes[1]

    def shape(self, height: int, width: int) -> Shape:
        """For the library."""
        two = ctypes.c_int64 * 2
        return Shape(height, width, self.groups, self.channels, self.outputs,
                     two(*self.kernel), two(*self.stride), two(*self.pad), two(*self.dilation))  # fmt: skip


@dataclass(frozen=True)
class Then:
    """What becomes of each product: float32 `product * scale + bias`, or the next bits, `product >= least` but for `flip`."""

    scale: np.ndarray | None = None  # (outputs,) float32
    bias: np.ndarray | None = None  # (outputs,) float32
    least: np.ndarray | None = None  # (outputs,) int32
    flip: np.ndarray | None = None  # (outputs,) uint8

    def checked(self, outputs: int) -> Then:
        """With its arrays as the library takes them. Raises ValueError where one has another length."""
        kinds = {"scale": np.float32, "bias": np.float32, "least": np.int32, "flip": np.uint8}
        arrays: dict[str, Any] = {}
        for name, kind in kinds.items():
            given = getattr(self, name)
            arrays[name] = None if given is None else np.ascontiguousarray(given, kind)
            if given is not None and arrays[name].shape != (outputs,):
                raise ValueError(f"'{name}' has the shape {arrays[name].shape}; there are {outputs} outputs")
        if arrays["least"] is not None and arrays["flip"] is None:
            arrays["flip"] = np.zeros(outputs, np.uint8)
        return Then(**arrays)


def words(channels: int) -> int:
    """Words that so many bits take."""
    return -(-channels // 64)


def pack(x: np.ndarray, threshold: np.ndarray | None = None, groups: int = 1) -> np.ndarray:
    """x (..., groups * channels) -> bits (..., groups, words); `threshold` (groups * channels) or 0 for all."""
    if x.dtype.kind not in "fiub" or x.ndim < 1:
        raise ValueError(f"signs are taken of numbers (..., channels); here {x.dtype} with {x.ndim} axes")
    x = np.ascontiguousarray(x, np.float32)
    if groups < 1 or x.shape[-1] % groups:
        raise ValueError(f"{x.shape[-1]} channels are no multiple of {groups} groups")
    channels = x.shape[-1] // groups
    if threshold is not None:
        threshold = np.ascontiguousarray(threshold, np.float32)
        if threshold.shape != x.shape[-1:]:
            raise ValueError(f"thresholds of shape {threshold.shape} for {x.shape[-1]} channels")
    found = library.kernels()
    if found is None:
        return slowly.pack(x, threshold, groups)
    out = np.empty((*x.shape[:-1], groups, words(channels)), np.uint64)
    if x.size:
        found.signs_pack(_at(x), _at(threshold), x.size // x.shape[-1], groups, channels, _at(out))
    return out


def panels(rows: np.ndarray) -> np.ndarray:
    """Packed weights (outputs, words) -> (panels, words, PANEL), as the kernels read them; what is missing is 0."""
    outputs, deep = rows.shape
    laid = np.zeros((-(-outputs // PANEL) * PANEL, deep), np.uint64)
    laid[:outputs] = rows
    return np.ascontiguousarray(laid.reshape(-1, PANEL, deep).swapaxes(1, 2))


def rows_of(laid: np.ndarray, outputs: int) -> np.ndarray:
    """What `panels` made, made back: (outputs, words)."""
    return np.ascontiguousarray(laid.swapaxes(1, 2).reshape(-1, laid.shape[1])[:outputs])


def multiply(
    a: np.ndarray, laid: np.ndarray, outputs: int, length: int, then: Then | None = None, threads: int = 1
) -> np.ndarray:
    """Rows a (n, words) by `panels` of weights: (n, outputs) int32, or what `then` makes of it (bits: (n, words))."""
    a = _bits(a, 2)
    _check(a.shape[1], laid, outputs, length)
    then = then and then.checked(outputs)
    found = library.kernels()
    if found is None:
        return slowly.finished(slowly.products(a, rows_of(laid, outputs), length), then)
    out, sink = _sink((len(a),), outputs, then)
    if a.size:
        found.signs_multiply(_at(a), _at(laid), len(a), outputs, a.shape[1], length, ctypes.byref(sink), threads)
    return out


def convolve(
    x: np.ndarray, laid: Sequence[np.ndarray], how: Convolution, then: Then | None = None, threads: int = 1
) -> np.ndarray:
    """x (n, height, width, groups, words) by panels a group, of weights (outputs a group, kernel * words).

    -> (n, height', width', outputs) int32, or what `then` makes of it (bits: one group, (n, height', width', words)).
    """
    x = _bits(x, 5)
    n, height, width, groups, deep = x.shape
    if (groups, deep, len(laid)) != (how.groups, how.words, how.groups):
        raise ValueError(f"bits of {groups} groups and {deep} words, panels of {len(laid)} groups for {how}")
    each = how.outputs // groups
    for one in laid:
        _check(how.kernel[0] * how.kernel[1] * deep, one, each, how.length)
    high, wide = how.after(height, width)
    then = then and then.checked(how.outputs)
    found = library.kernels()
    if found is None:
        weights = [rows_of(one, each) for one in laid]
        return slowly.finished(slowly.convolve(x, weights, how, (high, wide)), then)
    out, sink = _sink((n, high, wide), how.outputs, then)
    if out.size and x.size:
        together = laid[0] if groups == 1 else np.stack(laid)
        shape = how.shape(height, width)
        if found.signs_convolve(_at(x), _at(together), ctypes.byref(shape), n, ctypes.byref(sink), threads):
            raise MemoryError("no memory for a tile of a convolution")
    return out


def _sink(places: tuple[int, ...], outputs: int, then: Then | None) -> tuple[np.ndarray, Sink]:
    """An array for the result, and where the library finds it."""
    sink = Sink(stride=outputs)
    if then is None:
        out = np.empty((*places, outputs), np.int32)
        sink.whole = out.ctypes.data
    elif then.least is None:
        out = np.empty((*places, outputs), np.float32)
        sink.real, sink.scale, sink.bias = out.ctypes.data, _at(then.scale), _at(then.bias)
    else:
        out = np.zeros((*places, words(outputs)), np.uint64)
        sink.bits, sink.least, sink.flip, sink.stride = out.ctypes.data, _at(then.least), _at(then.flip), words(outputs)
    return out, sink


def _bits(array: np.ndarray, axes: int) -> np.ndarray:
    if array.dtype != np.uint64 or array.ndim != axes:
        raise ValueError(f"bits are uint64 with {axes} axes; here {array.dtype} with {array.ndim}")
    return np.ascontiguousarray(array)


def _check(deep: int, laid: np.ndarray, outputs: int, length: int) -> None:
    if laid.shape != (-(-outputs // PANEL), deep, PANEL) or laid.dtype != np.uint64 or not laid.flags.c_contiguous:
        raise ValueError(f"panels of shape {laid.shape} and type {laid.dtype} for {outputs} outputs of {deep} words")
    if not 0 < length <= LONGEST:
        raise ValueError(f"a product of {length:,} signs; between 1 and {LONGEST:,} are exact")


def _at(array: np.ndarray | None) -> int | None:
    return None if array is None else array.ctypes.data
