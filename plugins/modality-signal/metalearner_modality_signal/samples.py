"""What every reader gives: the signals of a source as found there, and their labels where there are some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from metalearner.arrays import Array, Ragged
from metalearner.errors import DataError

LABEL_NAMES = ("label", "labels", "y", "target", "targets", "class")


@dataclass(frozen=True)
class Samples:
    """Signals, equal (n, axes..., channels) or ragged (total, channels), beside n raw labels."""

    signal: Array
    labels: np.ndarray | None  # None: the source has none
    label_kind: str = ""  # "category" or "number" where the source itself says so
    about: Mapping[str, Any] = field(default_factory=dict)  # what of the source is kept in Schema.options
    heard: Ragged | None = None  # the recordings themselves, for models that listen: int16 (total, 1)


def real(values: np.ndarray) -> np.ndarray:
    """Complex numbers to real and imaginary channels: (..., C) -> (..., 2C), the real ones first."""
    return np.concatenate([values.real, values.imag], axis=-1) if np.iscomplexobj(values) else values


def clean(values: np.ndarray) -> np.ndarray:
    """float32, infinities to NaN: what is no number is missing."""
    with np.errstate(over="ignore"):
        values = np.asarray(values, dtype=np.float32)
    finite = np.isfinite(values)
    return values if finite.all() else np.where(finite, values, np.float32(np.nan))


def pool(values: np.ndarray, axis: int, factor: int) -> np.ndarray:
    """Means of `factor` neighbours along an axis, NaN-aware; the last group may be shorter."""
    if factor == 1 or values.shape[axis] == 0:
        return values
    starts = np.arange(0, values.shape[axis], factor)
    known = np.isfinite(values)
    total = np.add.reduceat(np.where(known, values, 0).astype(np.float64), starts, axis=axis)
    count = np.add.reduceat(known, starts, axis=axis, dtype=np.int64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (total / count).astype(np.float32)


def conform(samples: Samples, options: Mapping[str, Any]) -> Array:
    """The signals in the layout a schema names: axis order, raggedness, shape, pooling.

    Raises DataError when their shape is not the one the schema was sniffed from.
    """
    signal, pooled = samples.signal, int(options.get("pool", 1))
    if options["ragged"]:
        signal = signal if isinstance(signal, Ragged) else _cut(signal, options)
        if signal.values.ndim != 2 or signal.values.shape[1] != options["channels"]:
            raise _misfit((signal.values.shape[1:]), options)
        if pooled == 1:
            return Ragged(clean(signal.values), signal.offsets)
        return Ragged.pack([pool(clean(s), 0, pooled) for s in signal]) if len(signal) else signal
    if isinstance(signal, Ragged):
        signal = _stack(signal, options)
    if list(signal.shape[1:]) != list(options["shape"]):
        raise _misfit(signal.shape[1:], options)
    signal = clean(signal)
    if options.get("channels_first"):
        signal = np.moveaxis(signal, 1, -1)
    return pool(signal, 1 + _time(options), pooled) if pooled > 1 else signal


def _time(options: Mapping[str, Any]) -> int:
    return [axis["kind"] for axis in options["axes"]].index("time")


def _cut(signal: np.ndarray, options: Mapping[str, Any]) -> Ragged:
    """Samples that happen to be of equal length, where the schema is ragged."""
    if signal.ndim != 3:
        raise _misfit(signal.shape[1:], options)
    n, length, channels = signal.shape
    return Ragged(signal.reshape(n * length, channels), np.arange(n + 1, dtype=np.int64) * length)


def _stack(signal: Ragged, options: Mapping[str, Any]) -> np.ndarray:
    """Ragged samples that are of equal length after all, where the schema is not ragged."""
    lengths = signal.lengths
    if len(lengths) and lengths.min() != lengths.max():
        odd = int(np.flatnonzero(lengths != options["shape"][0])[0])
        raise _misfit(signal[odd].shape, options, f"Signal {odd + 1}")
    return signal.values.reshape(len(signal), -1, signal.values.shape[-1])


def _misfit(shape: tuple[int, ...], options: Mapping[str, Any], who: str = "Each signal") -> DataError:
    wanted = ("any length" if options["ragged"] else " x ".join(map(str, options["shape"][:-1]))) + (
        f" x {options['channels'] if options['ragged'] else options['shape'][-1]}"
    )
    return DataError(
        f"{who} has shape {' x '.join(map(str, shape))} (axes x channels).",
        f"The schema holds {wanted}.",
        "Give signals of the shape the model was trained on; missing values may be NaN (null in JSON).",
    )
