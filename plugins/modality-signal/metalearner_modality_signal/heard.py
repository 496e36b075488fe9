"""Recordings as they are, beside their spectrograms: only where a pretrained model that listens has been added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from metalearner import backbones
from metalearner.arrays import Ragged

from . import logmel

# Samples a second that such models listen to, and seconds of a recording at most.
RATE, SECONDS = 16_000, 10.0
COLUMN = "heard"
NOTHING = Ragged(np.zeros((0, 1), np.int16), np.zeros(1, np.int64))


def wanted() -> bool:
    """Whether anybody listens."""
    return any(one.raw == "wave" for one in backbones.added())


def options(median: float) -> dict[str, Any]:
    """Schema options for recordings of so many seconds in the middle: of longer ones twice that is kept, at most `SECONDS`."""
    return {COLUMN: {"rate": RATE, "samples": int(RATE * min(SECONDS, max(0.5, 2 * median)))}}


def listened(samples: np.ndarray, rate: int, about: Mapping[str, Any]) -> np.ndarray:
    """A recording (samples,) at its own rate as int16 (kept, 1) at the models' rate."""
    most = int(np.ceil(about["samples"] * rate / about["rate"])) + 1
    kept = logmel.resample(samples[:most], rate, about["rate"])[: about["samples"]]
    return np.rint(np.clip(kept, -1, 1) * 32767).astype(np.int16)[:, None]
