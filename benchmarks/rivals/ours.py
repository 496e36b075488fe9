"""metalearner, as its README says: a file, a sentence, a budget. Records of the same data are forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from contract import Job, Rival, compete

import metalearner


class Ours(Rival):
    """No test split of its own: all rows it is given are there to learn from."""

    def fit(self, job: Job) -> None:
        named = {"target": job.target} if job.target else {}
        self.run = metalearner.fit(
            str(job.train), job.sentence, budget=f"{job.seconds:g}s", metric=job.metric, out=job.folder / "run",
            test="none", seed=job.seed, blind=True, workers=job.cores, **named,
        )  # fmt: skip
        self.bundle = metalearner.open_bundle(self.run.folder / "bundle")

    def predict(self, rows: Any) -> pd.DataFrame:
        return self.bundle.predict(rows if isinstance(rows, pd.DataFrame) else str(rows))

    def save(self, folder: Path) -> Path:
        return self.run.folder / "bundle"


if __name__ == "__main__":
    compete(Ours())
