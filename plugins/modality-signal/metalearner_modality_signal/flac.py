"""FLAC recordings, by libsndfile: what it reads is handed on as a WAVE file's header and samples would be."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

MAGIC = b"fLaC"


def about(file: BinaryIO) -> tuple[int, int, int]:
    """Rate, channels and frames; ValueError says what is wrong."""
    import soundfile

    file.seek(0)
    try:
        found = soundfile.info(file)
    except (soundfile.SoundFileError, RuntimeError) as problem:
        raise ValueError(f"not a FLAC file that can be read: {str(problem).splitlines()[0]}") from None
    return int(found.samplerate), int(found.channels), int(found.frames)


def samples(file: BinaryIO, frames: int) -> np.ndarray:
    """The first so many frames, mean of the channels, float32 in -1..1."""
    import soundfile

    file.seek(0)
    values, _ = soundfile.read(file, frames=frames, dtype="float32", always_2d=True)
    return values.mean(axis=1).astype(np.float32)
