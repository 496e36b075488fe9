"""What several tests look at."""

import wave

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def clips(tmp_path):
    """Recordings, one of which is missing, beside numbers."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(12):
        samples = (3000 * np.sin(np.arange(2000 + 100 * i) * rng.uniform(0.05, 0.5))).astype("<i2")
        with wave.open(str(tmp_path / f"{i}.wav"), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes(samples.tobytes())
        rows.append({"clip": f"{i}.wav" if i != 3 else "", "age": 20 + i, "kind": "ab"[i % 2]})
    pd.DataFrame(rows).to_csv(tmp_path / "clips.csv", index=False)
    return tmp_path / "clips.csv"
