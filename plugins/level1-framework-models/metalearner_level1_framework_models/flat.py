"""Any views as one matrix: numbers with NaN where missing, and codes beside them. Nothing is learnt here.

Dense views are flattened, after average pooling where they are very large. Ragged ones become statistics
over their valid steps and a coarse picture of fixed length, so that padding never reaches a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from metalearner.arrays import Tensor, Tensors
from metalearner.records import View

# A dense view of more numbers is pooled along its ordered axes until it fits.
MOST = 4096
# Steps a ragged axis is resampled to, beside its mean, standard deviation, minimum, maximum and length.
STEPS = 16
ORDERED = ("time", "space", "tokens")
CHUNK = 1024  # rows at a time, which bounds temporary memory


def numeric(tensors: Tensors, views: Mapping[str, View]) -> np.ndarray:
    """All numbers of all views: float32 (n, width), NaN where missing."""
    parts = [_ragged(tensors[k], v) if _ragged_axis(v) is not None else _dense(tensors[k], v) for k, v in views.items()]
    return np.concatenate(parts, axis=1) if len(parts) != 1 else parts[0]


def codes(tensors: Tensors, views: Mapping[str, View]) -> np.ndarray:
    """All categorical codes of all views: int64 (n, q)."""
    rows = len(next(iter(tensors.values())))
    found = [t.codes for k in views if (t := tensors[k]).codes is not None]
    return np.concatenate(found, axis=1) if found else np.zeros((rows, 0), np.int64)


def cardinalities(views: Mapping[str, View]) -> tuple[int, ...]:
    """How many codes each column of `codes` may take, 0 (missing or never seen) included."""
    return tuple(c for v in views.values() for c in v.cardinalities)


def width(views: Mapping[str, View]) -> int:
    """Columns `numeric` gives, known without any data."""
    return sum(_ragged_width(v) if _ragged_axis(v) is not None else _dense_width(v) for v in views.values())


@cache
def _dense_width(view: View) -> int:
    return int(np.prod([-(-s // f) for s, f in zip(view.shape, (*_factors(view), 1))], dtype=np.int64))


@cache
def _factors(view: View) -> tuple[int, ...]:
    """How far each axis is pooled: the least factor on its ordered axes that brings it below MOST."""
    size, longest = int(np.prod(view.shape, dtype=np.int64)), max((a.size for a in view.axes), default=1)
    factor = 1
    while size > MOST and factor < longest and any(k in ORDERED for k in view.kinds):
        factor += 1
        size = view.channels
        for axis in view.axes:
            size *= -(-axis.size // factor) if axis.kind in ORDERED else axis.size
    return tuple(factor if k in ORDERED else 1 for k in view.kinds)


def _dense(tensor: Tensor, view: View) -> np.ndarray:
    """(n, axes..., channels) -> (n, width): means over blocks, of the numbers that are there; NaN where none is."""
    values, factors = np.asarray(tensor.values, np.float32), _factors(view)
    if max(factors, default=1) > 1:
        gaps = np.isnan(values)
        whole = not gaps.any()
        total = values if whole else np.where(gaps, 0, values)
        count = np.ones((1, *view.shape), np.float32) if whole else (~gaps).astype(np.float32)
        for axis, factor in enumerate(factors, start=1):
            total, count = _block_sums(total, axis, factor), _block_sums(count, axis, factor)
        values = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return np.ascontiguousarray(values.reshape(len(values), _dense_width(view)))


def _block_sums(values: np.ndarray, axis: int, factor: int) -> np.ndarray:
    """Sums over blocks of `factor` along an axis, the last one possibly shorter; slices add up faster than reductions."""
    turned = np.moveaxis(values, axis, 0)
    total = turned[::factor].copy()
    for i in range(1, factor):
        part = turned[i::factor]
        total[: len(part)] += part
    return np.moveaxis(total, 0, axis)


def _ragged_axis(view: View) -> int | None:
    return next((i for i, a in enumerate(view.axes, start=1) if a.ragged), None)


def _ragged_steps(view: View, channels: int) -> int:
    """Steps of the coarse picture: none along an axis without order, fewer where there are many channels."""
    ordered = view.axes[(_ragged_axis(view) or 1) - 1].kind in ORDERED
    return int(np.clip(MOST // max(1, channels) - 4, 0, STEPS)) if ordered else 0


def _ragged_channels(view: View) -> int:
    return int(np.prod(view.shape, dtype=np.int64)) // max(1, view.shape[(_ragged_axis(view) or 1) - 1])


def _ragged_width(view: View) -> int:
    channels = _ragged_channels(view)
    return channels * (4 + _ragged_steps(view, channels)) + 1


def _ragged(tensor: Tensor, view: View) -> np.ndarray:
    """(n, ..., T, ..., channels) with mask (n, T) -> (n, channels' * (4 + steps) + 1)."""
    axis = _ragged_axis(view) or 1
    values = np.moveaxis(tensor.values, axis, 1)
    values = values.reshape(len(values), values.shape[1], _ragged_channels(view))  # (n, T, M)
    mask = np.ones(values.shape[:2], bool) if tensor.mask is None else tensor.mask
    steps = _ragged_steps(view, values.shape[2])
    found = [np.zeros((0, _ragged_width(view)), np.float32)]
    for at in range(0, len(values), CHUNK):
        found.append(_summary(values[at : at + CHUNK].astype(np.float64), mask[at : at + CHUNK], steps))
    return np.concatenate(found)


def _summary(values: np.ndarray, mask: np.ndarray, steps: int) -> np.ndarray:
    """Length, then per channel mean, standard deviation, minimum, maximum, then the coarse picture."""
    order = np.argsort(~mask, axis=1, kind="stable")  # valid steps to the front
    values, mask = np.take_along_axis(values, order[:, :, None], 1), np.take_along_axis(mask, order, 1)
    known = mask[:, :, None] & ~np.isnan(values)
    count = known.sum(axis=1)
    none, divisor = count == 0, np.maximum(count, 1)
    mean = np.where(known, values, 0).sum(axis=1) / divisor
    spread = np.sqrt(np.where(known, (values - mean[:, None]) ** 2, 0).sum(axis=1) / divisor)
    low, high = np.where(known, values, np.inf).min(axis=1), np.where(known, values, -np.inf).max(axis=1)
    statistics = [np.where(none, np.nan, s) for s in (mean, spread, low, high)]
    filled = np.where(known, values, mean[:, None]) * mask[:, :, None]
    picture = np.where(none[:, None, :], np.nan, _resample(filled, mask.sum(axis=1), steps))
    parts = [mask.mean(axis=1, keepdims=True), *statistics, picture.reshape(len(values), -1)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _resample(values: np.ndarray, lengths: np.ndarray, steps: int) -> np.ndarray:
    """Means over `steps` equal stretches of the first `lengths` steps: (n, T, M) -> (n, steps, M)."""
    if not steps:
        return np.zeros((len(values), 0, values.shape[2]))
    rows = np.arange(len(values))[:, None]
    sums = np.concatenate([np.zeros_like(values[:, :1]), np.cumsum(values, axis=1)], axis=1)  # (n, T + 1, M)
    edges = lengths[:, None] * np.arange(steps + 1) / steps
    below = np.minimum(np.floor(edges).astype(np.int64), values.shape[1] - 1)
    part = (edges - below)[:, :, None]
    at = sums[rows, below] * (1 - part) + sums[rows, below + 1] * part
    return np.diff(at, axis=1) * steps / np.maximum(lengths, 1)[:, None, None]
