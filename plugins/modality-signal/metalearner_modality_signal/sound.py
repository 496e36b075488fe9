"""What the user wants done with recordings beyond their spectrograms: the environment variable METALEARNER_SOUND."""

from __future__ import annotations

import os

from metalearner.errors import DataError, unknown

OPTION = "METALEARNER_SOUND"
# "waveform": recordings are kept beside their spectrograms, for networks that learn from them from scratch.
# "speech": silence around speech is cut off.
WAVEFORM, SPEECH = "waveform", "speech"


def asked() -> frozenset[str]:
    """The words of the variable; DataError names one that means nothing."""
    words = [word.strip().lower() for word in os.environ.get(OPTION, "").split(",")]
    for word in filter(None, words):
        if word not in (WAVEFORM, SPEECH):
            happened, holds, _ = unknown(f"word in {OPTION}", word, (WAVEFORM, SPEECH))
            raise DataError(happened, holds, f"Several are separated by commas: {OPTION}={WAVEFORM},{SPEECH}")
    return frozenset(filter(None, words))
