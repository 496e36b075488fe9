"""The transform "signal-scaling": each channel to mean 0 and deviation 1, unequal lengths to one."""

from __future__ import annotations

from typing import Any

import numpy as np

from metalearner.arrays import RAW, Array, Fields, Ragged, Tensor, Tensors
from metalearner.kinds import State, Transform
from metalearner.records import Axis, Schema, View

from . import heard, logmel
from .heard import COLUMN
from .layout import common_length

LARGEST = 1 << 23  # numbers looked at to learn the scale; of larger sets, evenly spaced rows
HEAVY = 100.0  # a range so many times the interquartile range is heavy-tailed


class SignalScaling(Transform):
    """Scales channels, and brings ragged signals to the 95th percentile of the training lengths."""

    name = "signal-scaling"

    def fit(self, fields: Fields, schema: Schema) -> State:
        """Learn mean and deviation of each channel, of heavy-tailed ones median and quartiles; and the length."""
        signal = fields["signal"]
        sizes = [common_length(signal.lengths)] if isinstance(signal, Ragged) else list(signal.shape[1:-1])
        known = [axis["kind"] for axis in schema.options.get("axes", ())]
        kinds = known if len(known) == len(sizes) else ["time"] if len(sizes) == 1 else ["set"] * len(sizes)
        scales = [_scale(channel) for channel in _looked_at(signal).T]
        own = fields.get(COLUMN)
        return {
            "heard": int(own.lengths.max(initial=1)) if isinstance(own, Ragged) else 0,
            "raw": heard.raw(schema.options),
            "channel_kind": logmel.kind(schema.options),
            "axes": [{"kind": k, "size": int(s)} for k, s in zip(kinds, sizes)],
            "ragged": isinstance(signal, Ragged),
            "centre": [s[0] for s in scales],
            "scale": [s[1] for s in scales],
            "heavy": [s[2] for s in scales],
        }

    def apply(self, state: State, fields: Fields) -> Tensors:
        """float32 (n, axes..., channels), NaN where missing; of ragged signals zeros where the mask is False."""
        signal = fields["signal"]
        beside = {"signal" + RAW: _heard(fields[COLUMN], state["heard"])} if state.get("heard") else {}
        if not isinstance(signal, Ragged):
            return {"signal": Tensor(_scaled(state, signal)), **beside}
        length = state["axes"][0]["size"]
        kept = np.minimum(signal.lengths, length)
        values = np.zeros((len(signal), length, len(state["centre"])), dtype=np.float32)
        for i, sample in enumerate(signal):
            values[i, : kept[i]] = _scaled(state, sample[: kept[i]])
        return {"signal": Tensor(values, mask=np.arange(length) < kept[:, None]), **beside}

    def views(self, state: State) -> dict[str, View]:
        """The view "signal"."""
        axes = tuple(Axis(a["kind"], a["size"], state["ragged"]) for a in state["axes"])
        # states of before there were other kinds of raw sound say nothing of it
        raw = state.get("raw", "wave") if state.get("heard") else ""
        return {"signal": View(axes, len(state["centre"]), raw=raw, channel_kind=state.get("channel_kind", ""))}


def _heard(column: Array, longest: int) -> Tensor:
    """Recordings int16 (n, at most longest), filled up with silence; where all are missing there is a moment of it."""
    assert isinstance(column, Ragged), "recordings are of unequal length"
    values = np.zeros((len(column), min(longest, int(column.lengths.max(initial=1)))), np.int16)
    for row, own in zip(values, column):
        some = np.asarray(own).reshape(-1)[: values.shape[1]]
        row[: len(some)] = some
    return Tensor(values)


def _looked_at(signal: Array) -> np.ndarray:
    """The values from which scales are learned, (m, channels)."""
    values = signal.values if isinstance(signal, Ragged) else signal
    if values.size > LARGEST:
        values = values[:: -(-values.size // LARGEST)]
    return values.reshape(-1, values.shape[-1])


def _scale(channel: np.ndarray) -> tuple[float, float, bool]:
    """Centre, scale and whether the tails are heavy, of one channel (m,)."""
    channel = np.asarray(channel, dtype=np.float64)
    channel = channel[np.isfinite(channel)]
    if not len(channel):
        return 0.0, 1.0, False
    low, middle, high = (float(q) for q in np.percentile(channel, [25, 50, 75]))
    if high > low and np.ptp(channel) > HEAVY * (high - low):
        return middle, (high - low) / 1.349, True
    centre, spread = float(channel.mean()), float(channel.std())
    # a constant channel has nothing but rounding to blow up
    return centre, spread if spread > 1e-7 * max(1e-30, abs(centre)) else 1.0, False


def _scaled(state: dict[str, Any], values: np.ndarray) -> np.ndarray:
    """Values (..., channels) in deviations from the centre; heavy tails grow as their logarithm."""
    values = (np.asarray(values, np.float32) - np.float32(state["centre"])) / np.float32(state["scale"])
    if any(state["heavy"]):
        values = np.where(np.array(state["heavy"]), np.arcsinh(values), values)
    return values.astype(np.float32, copy=False)
