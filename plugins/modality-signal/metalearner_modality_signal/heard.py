"""Recordings as they are, beside their spectrograms: where a pretrained model listens, or where networks shall learn from them.

The first need them at the rate they were made for (`raw` "wave"), the others at their own rate and short ("samples").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metalearner import backbones
from metalearner.arrays import Ragged

from . import logmel, sound

# Samples a second that pretrained models listen to, and at most are kept; seconds of a recording at most, for them and for others.
RATE, SECONDS, SHORT = 16_000, 10.0, 4.0
# Bytes of a set that are kept for networks from scratch, in each fold and worker: more would slow down everybody else.
LARGEST = 1 << 27
COLUMN = "heard"
NOTHING = Ragged(np.zeros((0, 1), np.int16), np.zeros(1, np.int64))


def wanted() -> bool:
    """Whether a pretrained model listens."""
    return any(one.raw == "wave" for one in backbones.added())


def options(seconds: Sequence[float], rate: int) -> tuple[dict[str, Any], str]:
    """Schema options for recordings of these lengths at a rate, and what to tell: none where nobody wants them.

    Of recordings longer than the median twice that is kept, at most `SECONDS`, or `SHORT` for networks from scratch.
    """
    median = float(np.median(seconds))
    if wanted():
        kept = int(RATE * min(SECONDS, max(0.5, 2 * median)))
        return {COLUMN: {"rate": RATE, "samples": kept}}, "the recordings themselves are kept for models that listen"
    if sound.WAVEFORM not in sound.asked():
        return {}, ""
    rate = min(rate, RATE)
    kept = int(rate * min(SHORT, max(0.5, 2 * median)))
    size = kept * len(seconds) * 2
    if size > LARGEST:
        return {}, f"waveforms would take {size >> 20} MB, at most {LARGEST >> 20} MB are kept: spectrograms alone"
    note = f"up to {kept / rate:.1f} s of the waveforms are kept at {rate} Hz"
    return {COLUMN: {"rate": rate, "samples": kept, "raw": "samples"}}, note


def raw(options: Mapping[str, Any]) -> str:
    """What lies beside the spectrograms: "wave", "samples" or nothing."""
    return str(options[COLUMN].get("raw", "wave")) if COLUMN in options else ""


def listened(samples: np.ndarray, rate: int, about: Mapping[str, Any]) -> np.ndarray:
    """A recording (samples,) at its own rate as int16 (kept, 1) at the rate that is kept."""
    most = int(np.ceil(about["samples"] * rate / about["rate"])) + 1
    kept = logmel.resample(samples[:most], rate, about["rate"])[: about["samples"]]
    return np.rint(np.clip(kept, -1, 1) * 32767).astype(np.int16)[:, None]
