"""Where somebody speaks in a recording, by silero-vad, and the recording without the silence around it.

Only where the user asks for it (`sound.asked`). The network lies in the package silero-vad as TorchScript, the one that is
opened here: what the package itself would run on import, a thread setting for the whole process, is not run.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from metalearner.errors import DataError

from . import logmel

if TYPE_CHECKING:
    import torch

PACKAGE, FILE = "silero_vad", "data/silero_vad.jit"
# Samples a second that the network knows, and samples it looks at in a step (32 ms); a step of at least this chance is speech.
RATE, STEP, SURE = 8_000, 256, 0.5
# Seconds kept before and after: consonants begin and end softly.
AROUND = 0.1
# Recordings that are looked at side by side.
TOGETHER = 32
# Share of recordings with speech from which on a set is taken for speech.
MOST = 0.5


def missing() -> str:
    """Why nobody can tell speech from silence; empty when somebody can."""
    return "" if _file() is not None else "the package silero-vad is not installed"


def trimmed(recordings: Sequence[np.ndarray], rates: Sequence[int]) -> list[np.ndarray]:
    """Each recording (samples,) from shortly before the first speech to shortly after the last; whole where there is none."""
    found = []
    for samples, rate, inside in zip(recordings, rates, spoken(recordings, rates)):
        if inside is None:
            found.append(samples)
        else:
            found.append(samples[int(inside[0] * rate) : int(np.ceil(inside[1] * rate))])
    return found


def spoken(recordings: Sequence[np.ndarray], rates: Sequence[int]) -> list[tuple[float, float] | None]:
    """From when to when there is speech, in seconds, `AROUND` on both sides; None where there is none."""
    heard = [logmel.resample(samples, rate, RATE) for samples, rate in zip(recordings, rates)]
    order = np.argsort([len(one) for one in heard], kind="stable")  # about one length together
    found: list[tuple[float, float] | None] = [None] * len(heard)
    for start in range(0, len(order), TOGETHER):
        some = order[start : start + TOGETHER]
        for i, chances in zip(some, _chances([heard[i] for i in some])):
            loud = np.flatnonzero(chances >= SURE)
            if len(loud):
                begin, end = loud[0] * STEP / RATE - AROUND, (loud[-1] + 1) * STEP / RATE + AROUND
                found[int(i)] = max(0.0, begin), end
    return found


def _chances(recordings: Sequence[np.ndarray]) -> np.ndarray:
    """The chance of speech in each step of recordings at `RATE`, (n, steps of the longest)."""
    import torch

    steps = max(1, *(-(-len(one) // STEP) for one in recordings))
    filled = np.zeros((len(recordings), steps * STEP), np.float32)
    for row, one in zip(filled, recordings):
        row[: len(one)] = one
    network = _network()
    network.reset_states()
    with torch.inference_mode():
        parts = torch.from_numpy(filled).split(STEP, dim=1)
        return torch.cat([network(part, RATE) for part in parts], dim=1).numpy()


@lru_cache(maxsize=1)
def _network() -> torch.jit.ScriptModule:
    file = _file()
    if file is None:
        raise DataError(
            f"Silence is to be cut off around speech, and {missing()}.",
            "The model was made with recordings that had been trimmed.",
            "Install it: pip install silero-vad",
        )
    import torch

    return torch.jit.load(str(file), map_location="cpu").eval()


def _file() -> Path | None:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    file = Path(spec.submodule_search_locations[0], FILE)
    return file if file.exists() else None
