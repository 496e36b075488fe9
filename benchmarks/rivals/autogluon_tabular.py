"""AutoGluon with a time limit; the variant is its preset."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from autogluon.tabular import TabularPredictor
from contract import Job, Rival, answer, compete, table


class AutoGluon(Rival):
    """Kept in memory for single rows and stripped for deployment, as its manual advises for both."""

    package = "autogluon.tabular"

    def fit(self, job: Job) -> None:
        kind = "regression" if not job.classes else "multiclass"
        rows = table(job.train)
        if job.classes:
            rows[job.target] = rows[job.target].astype(str)
            kind = "binary" if rows[job.target].nunique() == 2 else kind
        self.predictor = TabularPredictor(
            label=job.target, problem_type=kind, eval_metric=job.metric, path=str(job.folder / "autogluon"), verbosity=0
        ).fit(rows, time_limit=job.seconds, presets=job.variant, num_cpus=job.cores, num_gpus=0)
        self.predictor.persist()

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        if self.predictor.problem_type == "regression":
            return pd.DataFrame({"prediction": self.predictor.predict(rows)})
        chances = self.predictor.predict_proba(rows)
        return answer(chances.columns, chances.to_numpy())

    def save(self, folder: Path) -> Path:
        return Path(self.predictor.clone_for_deployment(path=str(folder / "deployed")))


if __name__ == "__main__":
    compete(AutoGluon())
