"""Per-row numbers on which a shift of signals can be seen."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from metalearner.arrays import Fields, Ragged
from metalearner.records import Schema

GROUPS, ROWS = 8, 256
MEASURES = ("mean", "deviation", "minimum", "maximum", "lag-1 correlation")


def features(fields: Fields, schema: Schema) -> dict[str, np.ndarray]:
    """Five measures of each channel, of at most eight groups of adjacent ones, and the length of ragged signals."""
    signal = fields["signal"]
    ordered = _ordered(schema.options)
    channels = int(schema.options["channels"])
    groups = np.array_split(np.arange(channels), min(channels, GROUPS))
    table = []
    for start in range(0, len(signal), ROWS):
        part = np.arange(start, min(start + ROWS, len(signal)))
        block = _padded(signal.take(part)) if isinstance(signal, Ragged) else signal[part]
        block = np.moveaxis(block, ordered + 1, 1)  # (n, T, ..., C)
        table.append(np.stack([_measures(block[..., g[0] : g[-1] + 1]) for g in groups], axis=1))
    values = np.concatenate(table) if table else np.zeros((0, len(groups), len(MEASURES)))
    found = {
        f"{_name(group, channels)} {measure}": values[:, i, j]
        for i, group in enumerate(groups)
        for j, measure in enumerate(MEASURES)
    }
    return found | ({"length": signal.lengths.astype(np.float64)} if isinstance(signal, Ragged) else {})


def _ordered(options: Mapping[str, Any]) -> int:
    """The first ordered axis, else the first."""
    kinds = [axis["kind"] for axis in options["axes"]]
    return next((i for i, kind in enumerate(kinds) if kind in ("time", "space")), 0)


def _name(group: np.ndarray, channels: int) -> str:
    if channels == 1:
        return "signal"
    return f"channel {group[0] + 1}" if len(group) == 1 else f"channels {group[0] + 1}-{group[-1] + 1}"


def _padded(signal: Ragged) -> np.ndarray:
    """Ragged samples beside one another, NaN behind their end."""
    block = np.full(
        (len(signal), max(1, int(signal.lengths.max(initial=1))), signal.values.shape[1]), np.nan, np.float32
    )
    for i, sample in enumerate(signal):
        block[i, : len(sample)] = sample
    return block


def _measures(block: np.ndarray) -> np.ndarray:
    """MEASURES of (n, T, ..., c), NaN-aware: (n, 5)."""
    block = block.reshape(len(block), block.shape[1], -1).astype(np.float64)  # (n, T, m)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a signal without any number gives NaN
        mean, deviation = np.nanmean(block, axis=(1, 2)), np.nanstd(block, axis=(1, 2))
        low, high = np.nanmin(block, axis=(1, 2)), np.nanmax(block, axis=(1, 2))
        centred = block - np.nanmean(block, axis=1, keepdims=True)
        power = np.nanmean(centred**2, axis=(1, 2))
        lag = (
            np.nanmean(centred[:, 1:] * centred[:, :-1], axis=(1, 2))
            if block.shape[1] > 1
            else np.full(len(block), np.nan)
        )
        lag = np.where(power > 1e-12, lag / np.where(power > 1e-12, power, 1), 0.0)
    return np.stack([mean, deviation, low, high, lag], axis=1)
