"""FLAML with a time budget and otherwise as it comes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pandas as pd
from contract import Job, Rival, answer, compete
from flaml import AutoML


class Flaml(Rival):
    """Saved as its manual says: the whole object, pickled."""

    package = "flaml"

    def fit(self, job: Job) -> None:
        rows, target = job.table()
        rows = _named(rows)
        self.classes = job.classes
        self.automl = AutoML()
        self.automl.fit(X_train=rows, y_train=target, task=job.task, metric=job.metric, time_budget=job.seconds,
                        n_jobs=job.cores, seed=job.seed, verbose=0)  # fmt: skip

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        rows = _named(rows)
        if not self.classes:
            return pd.DataFrame({"prediction": self.automl.predict(rows)})
        return answer(self.automl.classes_, self.automl.predict_proba(rows))

    def save(self, folder: Path) -> Path:
        file = folder / "automl.pkl"
        file.write_bytes(pickle.dumps(self.automl, pickle.HIGHEST_PROTOCOL))
        return file


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """Without signs in names that LightGBM, one of its learners, refuses."""
    return rows.set_axis([f"x{i}" for i in range(rows.shape[1])], axis=1)


if __name__ == "__main__":
    compete(Flaml())
