"""scikit-learn's HistGradientBoosting as it comes: the minute's work of anyone with a table."""

from __future__ import annotations

import pickle
from pathlib import Path

import pandas as pd
from columns import Columns
from contract import Job, Rival, answer, compete
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor


class HistBoosting(Rival):
    """No tuning; it does not use the seconds it has."""

    package = "scikit-learn"

    def fit(self, job: Job) -> None:
        rows, target = job.table()
        self.columns = Columns.of(
            rows.dropna(axis=1, how="all"), most=255
        )  # what it refuses: nothing, and more categories
        kind = HistGradientBoostingClassifier if job.classes else HistGradientBoostingRegressor
        self.model = kind(categorical_features="from_dtype", random_state=job.seed).fit(self.columns(rows), target)

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        seen = self.columns(rows)
        if isinstance(self.model, HistGradientBoostingRegressor):
            return pd.DataFrame({"prediction": self.model.predict(seen)})
        return answer(self.model.classes_, self.model.predict_proba(seen))

    def save(self, folder: Path) -> Path:
        file = folder / "model.pkl"
        file.write_bytes(pickle.dumps((self.columns, self.model), pickle.HIGHEST_PROTOCOL))
        return file


if __name__ == "__main__":
    compete(HistBoosting())
