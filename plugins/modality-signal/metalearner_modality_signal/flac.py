"""FLAC recordings, by libsndfile: what it reads is handed on as a WAVE file's header and samples would be."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

MAGIC = b"fLaC"
BLOCK = 1 << 16  # frames decoded at once


def about(file: BinaryIO) -> tuple[int, int, int]:
    """Rate, channels and frames, once all of these were decoded: only so is damage found. ValueError says what is wrong."""
    import soundfile

    file.seek(0)
    try:
        with soundfile.SoundFile(file) as opened:
            while len(opened.read(BLOCK, dtype="int16")):
                pass
            return int(opened.samplerate), int(opened.channels), int(opened.frames)
    except (soundfile.SoundFileError, RuntimeError) as problem:
        raise ValueError(f"not a FLAC file that can be read: {str(problem).splitlines()[0]}") from None


def samples(file: BinaryIO, frames: int) -> np.ndarray:
    """The first so many frames, mean of the channels, float32 in -1..1."""
    import soundfile

    file.seek(0)
    values, _ = soundfile.read(file, frames=frames, dtype="float32", always_2d=True)
    return values.mean(axis=1).astype(np.float32)
