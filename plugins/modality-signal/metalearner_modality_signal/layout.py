"""Which axes an unnamed array has: an axis is ordered when neighbours along it are more alike than chance.

Two measures are taken along each axis: the mean absolute correlation of neighbouring positions over
samples, and the mean squared difference between them. Both are scored against the same positions in
shuffled order; the larger z counts. The first sees textures, the second a curve that all samples share.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from metalearner.arrays import Array, Ragged

from .samples import clean

SAMPLES, PERMUTATIONS, POSITIONS, CHANNELS = 300, 100, 512, 256  # bounds on what is looked at
ORDERED_Z, ORDERED_SIZE = 3.0, 6
LONGEST, LONGEST_RAGGED = 4096, 1024  # steps in time; longer series are pooled


def layout(signal: Array, channels_last: bool = False) -> dict[str, Any]:
    """Schema options that say how a signal (n, axes..., channels) lies, axis kinds with their reason.

    Unless `channels_last` is known, (n, C, T) is recognised by its one ordered axis.
    """
    if isinstance(signal, Ragged):
        lengths, channels = signal.lengths, int(signal.values.shape[1])
        longest = float(np.percentile(lengths, 95)) if len(lengths) else 1.0
        pool = max(1, int(np.ceil(longest / LONGEST_RAGGED)))
        time = {"kind": "time", "size": common_length(np.ceil(lengths / pool))}
        return {"ragged": True, "channels": channels, "axes": [time], "pool": pool}
    shape = [int(s) for s in signal.shape[1:]]
    scores = [locality(signal, axis) for axis in range(1, signal.ndim)]
    local = [_ordered(z, s) for z, s in zip(scores, shape)]
    # (n, C, T), as some libraries keep series: only the last axis is ordered, or the first has one position
    first = not channels_last and len(shape) == 2 and shape[1] >= 8 and not local[0] and (local[1] or shape[0] == 1)
    if first:
        scores.reverse()
    sizes = shape[::-1] if first else shape
    axes = _axes(sizes[:-1], scores[:-1])
    pool = 1
    for axis in axes:
        if axis["kind"] == "time":  # there is at most one
            pool = max(1, -(-axis["size"] // LONGEST))
            axis["size"] = -(-axis["size"] // pool)
    found = {"ragged": False, "shape": shape, "channels": sizes[-1], "axes": axes, "pool": pool}
    return found | ({"channels_first": True} if first else {})


def _axes(sizes: list[int], scores: list[float | None]) -> list[dict[str, Any]]:
    if len(sizes) == 1:
        kinds = ["time" if sizes[0] >= 8 else "set"]
    else:
        ordered = [_ordered(z, s) for z, s in zip(scores, sizes)]
        kind = "time" if sum(ordered) == 1 else "space"
        kinds = [kind if yes else "set" for yes in ordered]
    return [{"kind": k, "size": s, "z": None if z is None else round(z, 2)} for k, s, z in zip(kinds, sizes, scores)]


def _ordered(z: float | None, size: int) -> bool:
    return z is not None and z > ORDERED_Z and size >= ORDERED_SIZE


def common_length(lengths: np.ndarray) -> int:
    """The length ragged samples are brought to: the 95th percentile, between 8 and 1,024."""
    return int(np.clip(np.ceil(np.percentile(lengths, 95)), 8, 1024)) if len(lengths) else 8


def locality(signal: np.ndarray, axis: int, seed: int = 0) -> float | None:
    """How local an axis of (n, axes..., channels) is, as a z-score; None when it is too short to tell."""
    if signal.shape[axis] < ORDERED_SIZE or len(signal) < 2:
        return None
    rng = np.random.default_rng(seed)
    values = signal if len(signal) <= SAMPLES else signal[np.sort(rng.permutation(len(signal))[:SAMPLES])]
    values = np.moveaxis(values, axis, 0)  # (s, n, rest...)
    start = max(0, (len(values) - POSITIONS) // 2)
    values = values[start : start + POSITIONS].reshape(min(len(values), POSITIONS), values.shape[1], -1)  # (s, n, m)
    if values.shape[2] > CHANNELS:
        values = values[:, :, np.sort(rng.permutation(values.shape[2])[:CHANNELS])]
    values = _standardised(clean(values).astype(np.float64))
    size = len(values)
    gram = values.reshape(size, -1) @ values.reshape(size, -1).T
    squares = np.diag(gram)
    distance = squares[:, None] + squares[None, :] - 2 * gram
    centred = (values - values.mean(axis=1, keepdims=True)).reshape(size, -1)
    covariance = centred @ centred.T
    norm = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    orders = np.array([rng.permutation(size) for _ in range(PERMUTATIONS)])
    return max(_score(np.abs(covariance / norm[:, None] / norm[None, :]), orders), _score(-distance, orders))


def _standardised(values: np.ndarray) -> np.ndarray:
    """Each of the m columns of (s, n, m) to mean 0 and deviation 1; a missing value becomes 0."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=(0, 1)), 1)
    mean = np.where(known, values, 0).sum(axis=(0, 1)) / count
    values = np.where(known, values - mean, 0)
    return values / np.sqrt(np.maximum((values**2).sum(axis=(0, 1)) / count, 1e-24))


def _score(likeness: np.ndarray, orders: np.ndarray) -> float:
    """z of the mean likeness of neighbours against shuffled orders (k, s)."""
    steps = np.arange(len(likeness) - 1)
    observed = likeness[steps, steps + 1].mean()
    shuffled = likeness[orders[:, :-1], orders[:, 1:]].mean(axis=1)
    spread = shuffled.std()
    return float((observed - shuffled.mean()) / spread) if spread > 1e-12 * max(1.0, abs(observed)) else 0.0
