"""MiniRocket with its ridge classifier, from aeon. It gives no probabilities: its log-loss says nothing."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
from aeon.classification.convolution_based import MiniRocketClassifier
from contract import Job, Rival, answer, compete, padded, series, sounds

SHORTEST = 9  # steps; its kernels are that long


class MiniRocket(Rival):
    """Series of unequal length are filled with zeros to the longest of the training rows."""

    package = "aeon"

    def warm(self, job: Job) -> None:
        """Its kernels are compiled once an installation and loaded once a process, outside the clock."""
        channels = series(job.row)[0][0].shape[0] if job.kind == "series" else 1
        x = np.random.default_rng(0).normal(size=(10, channels, 40)).astype(np.float32)
        MiniRocketClassifier(random_state=0).fit(x, np.arange(10) % 2).predict(x)

    def fit(self, job: Job) -> None:
        self.kind, self.steps = job.kind, 0
        x, labels = self.read(job.train)
        self.steps = x.shape[2]
        self.model = MiniRocketClassifier(random_state=job.seed, n_jobs=job.cores).fit(x, labels)

    def read(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Series (n, channels, steps) and labels."""
        if self.kind == "sound":
            found, labels = sounds(path)
            return found[:, None], labels
        rows, labels = series(path)
        return padded(rows, self.steps or max(SHORTEST, *(r.shape[1] for r in rows))), labels

    def predict(self, rows: Path) -> pd.DataFrame:
        return answer(self.model.classes_, self.model.predict_proba(self.read(rows)[0]))

    def save(self, folder: Path) -> Path:
        file = folder / "model.pkl"
        file.write_bytes(pickle.dumps(self.model, pickle.HIGHEST_PROTOCOL))
        return file


if __name__ == "__main__":
    compete(MiniRocket())
