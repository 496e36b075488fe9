"""What is known of an ordered axis by its frequencies: periods, colour, memory, and whether it stays the same all along."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensors
from ..kinds import Output, Probe
from ..records import View
from .flat import values

AXES = ("time", "space", "columns")
LEAST = 16  # positions an axis must have
MOST = 2048  # that are looked at
ROWS = 600  # lines along the axis, over samples, channels and positions of the other axes
PATCHES = 8
SCALES = 6  # of the fluctuation analysis


class Spectrum(Probe):
    """Mean power spectrum, autocorrelation and patches of the lines along an axis."""

    name = "spectrum"
    explains = {
        f"{a}_{name}": (unit, f"{words}, along {a}")
        for a in AXES
        for name, unit, words in (
            ("slope", "", "slope of log power over log frequency (Field 1987): 0 noise, -2 a random walk"),
            ("flatness", "share", "geometric over arithmetic mean of the power: 1 noise, 0 a pure tone"),
            ("peak", "log", "strongest frequency of a line over its median one"),
            ("shared_peak", "log", "the same of the mean spectrum: a period that all samples share"),
            ("period", "log10", "positions in that shared period"),
            ("memory", "log10", "positions until the autocorrelation has fallen to 1/e"),
            ("hurst", "", "growth of fluctuations with scale (Peng et al. 1994): 0.5 no memory, above it long memory"),
            ("moving", "share", "variance of the means of patches: 0 the same level all along"),
            ("uneven", "", "spread of the log variances of patches: 0 the same strength all along"),
        )
    }

    def measure(
        self,
        tensors: Tensors,
        views: Mapping[str, View],
        target: np.ndarray,
        output: Output,
        rng: np.random.Generator,
    ) -> dict[str, float | None]:
        """One value a kind of axis, of its longest."""
        found: dict[str, float | None] = {}
        longest: dict[str, int] = {}
        for name, view in views.items():
            for i, axis in enumerate(view.axes):
                if axis.kind not in AXES or axis.size < LEAST or axis.size <= longest.get(axis.kind, 0):
                    continue
                lines = _lines(values(tensors[name]), i + 1, rng)
                if len(lines):
                    longest[axis.kind] = axis.size
                    found |= {f"{axis.kind}_{key}": value for key, value in _measured(lines).items()}
        return found


def _lines(x: np.ndarray, axis: int, rng: np.random.Generator) -> np.ndarray:
    """Some of the lines (k, length) along an axis of x (n, axes..., channels), each of mean 0; constant ones are left out.

    Of lines with gaps only those count of which at most a tenth is missing; it is filled by the mean.
    """
    x = np.moveaxis(x, axis, -1)[..., :MOST]
    x = x.reshape(-1, x.shape[-1])
    if len(x) > ROWS:
        x = x[np.sort(rng.permutation(len(x))[:ROWS])]
    known = np.isfinite(x)
    x, known = x[known.mean(axis=1) >= 0.9], known[known.mean(axis=1) >= 0.9]
    if not len(x):
        return x
    count = known.sum(axis=1, keepdims=True)
    mean = np.where(known, x, 0).sum(axis=1, keepdims=True) / count
    x = np.where(known, x - mean, 0)
    spread = x.std(axis=1, keepdims=True)
    return (x / np.maximum(spread, 1e-12))[spread[:, 0] > 1e-9].astype(np.float64)


def _measured(lines: np.ndarray) -> dict[str, float | None]:
    """The numbers of lines (k, length) of mean 0 and deviation 1."""
    length = lines.shape[1]
    power = np.abs(np.fft.rfft(lines * np.hanning(length), axis=1)[:, 1:]) ** 2 + 1e-9  # (k, length // 2)
    mean = power.mean(axis=0)
    frequency = np.arange(1, len(mean) + 1)
    line = np.polyfit(np.log(frequency), np.log(mean), 1)
    # What stands out is told against the slope, or every random walk would have a period as long as itself.
    flat = mean / np.exp(np.polyval(line, np.log(frequency)))
    return {
        "slope": float(line[0]),
        "flatness": float(np.mean(np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1))),
        "peak": float(np.mean(np.log(power.max(axis=1) / np.median(power, axis=1)))),
        "shared_peak": float(np.log(flat.max() / np.median(flat))),
        "period": float(np.log10(length / frequency[flat.argmax()])),
        "memory": float(np.log10(_memory(lines))),
        "hurst": _hurst(lines),
        **_patches(lines),
    }


def _memory(lines: np.ndarray) -> int:
    """The first lag at which the mean autocorrelation is below 1/e."""
    length = lines.shape[1]
    spectrum = np.abs(np.fft.rfft(lines, 2 * length, axis=1)) ** 2
    correlation = np.fft.irfft(spectrum.mean(axis=0))[:length]
    below = np.flatnonzero(correlation / correlation[0] < np.exp(-1))
    return int(below[0]) if len(below) else length


def _hurst(lines: np.ndarray) -> float | None:
    """Detrended fluctuation analysis: the slope of log fluctuation over log scale; None on short lines."""
    length = lines.shape[1]
    scales = np.unique(np.geomspace(8, length // 4, SCALES).astype(int)) if length >= 64 else np.array([])
    if len(scales) < 3:
        return None
    walk = np.cumsum(lines, axis=1)
    found = []
    for scale in scales:
        parts = walk[:, : length // scale * scale].reshape(-1, scale)
        steps = np.arange(scale) - (scale - 1) / 2
        parts = parts - parts.mean(axis=1, keepdims=True)
        trend = parts @ steps / (steps @ steps)
        found.append(np.sqrt(np.mean((parts - trend[:, None] * steps) ** 2)))
    return float(np.polyfit(np.log(scales), np.log(np.maximum(found, 1e-12)), 1)[0])


def _patches(lines: np.ndarray) -> dict[str, float | None]:
    """How much level and strength differ between patches of a line."""
    width = lines.shape[1] // PATCHES
    parts = lines[:, : width * PATCHES].reshape(len(lines), PATCHES, width)
    strength = np.log(parts.var(axis=2) + 1e-3)
    return {"moving": float(parts.mean(axis=2).var(axis=1).mean()), "uneven": float(strength.std(axis=1).mean())}
