"""Log-mel spectrograms: what a recording becomes, (frames, bands)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

FRAMES, BANDS, CAP = 48, 40, 512  # frames of the median recording, mel bands at most, frames at most
FLOOR = 1e-6
FINE = 4_000  # denominator of a ratio of rates, at most


def choose(rate: int, median: float) -> dict[str, int]:
    """Options for recordings at `rate` Hz whose median is `median` samples long.

    Windows of 32 ms; a hop of 8 to 64 ms that gives the median recording about 48 frames.

    >>> choose(8000, 3440)
    {'rate': 8000, 'n_fft': 256, 'hop': 72, 'bands': 40}
    """
    n_fft = max(16, round(0.032 * rate))
    hop = int(np.clip(round(median / FRAMES), max(1, round(0.008 * rate)), max(1, round(0.064 * rate))))
    bands = next((b for b in range(BANDS, 3, -1) if filters(rate, n_fft, b).any(axis=1).all()), 4)
    return {"rate": rate, "n_fft": n_fft, "hop": hop, "bands": bands}


def kind(options: Mapping[str, Any]) -> str:
    """What the channels of signals with these options are to each other: "bands" where they are spectrograms."""
    return "bands" if "bands" in options else ""


def hertz(mel: np.ndarray) -> np.ndarray:
    """Mel to Hz (O'Shaughnessy 1987)."""
    return 700 * (10 ** (mel / 2595) - 1)


@lru_cache(maxsize=8)
def filters(rate: int, n_fft: int, bands: int) -> np.ndarray:
    """Triangles evenly spaced in mel up to rate / 2, each a weighted mean: (bands, n_fft // 2 + 1)."""
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = hertz(np.linspace(0, top, bands + 2))
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0, np.minimum(rise, fall))
    return weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)


def frames(length: float, options: Mapping[str, Any]) -> int:
    """Frames of a recording of `length` samples at the options' rate, uncapped."""
    return 1 + math.ceil(max(0, length - options["n_fft"]) / options["hop"])


def resample(wave: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """A recording at another rate, band-limited; the ratio of rates that have little in common is rounded to one part in `FINE`."""
    if rate == wanted:
        return wave
    from scipy.signal import resample_poly

    # The filter is as long as the larger number: of 999,983 Hz to 8,000 it would take a gigabyte.
    ratio = Fraction(wanted, rate).limit_denominator(FINE) or Fraction(1, FINE)
    return resample_poly(wave, ratio.numerator, ratio.denominator).astype(np.float32)


def samples_needed(rate: int, options: Mapping[str, Any]) -> int:
    """Samples at `rate` that the capped number of frames can use."""
    return math.ceil((options["n_fft"] + (CAP - 1) * options["hop"]) * rate / options["rate"]) + 1


def log_mel(wave: np.ndarray, options: Mapping[str, Any]) -> np.ndarray:
    """log(1e-6 + power) in mel bands of a recording (samples,) at the options' rate: float32 (frames, bands)."""
    n_fft, hop = options["n_fft"], options["hop"]
    count = min(frames(len(wave), options), CAP)
    padded = np.zeros(n_fft + (count - 1) * hop, dtype=np.float32)
    kept = wave[: len(padded)]
    padded[: len(kept)] = kept
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]  # (frames, n_fft)
    power = np.abs(np.fft.rfft(pieces * window, axis=1)) ** 2 / float((window**2).sum())
    return np.log(FLOOR + power @ filters(options["rate"], n_fft, options["bands"]).T).astype(np.float32)
