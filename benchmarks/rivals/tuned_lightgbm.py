"""LightGBM tuned by Optuna within the seconds: cross-validated rounds and leaves, then one model of all rows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import optuna
import pandas as pd
from columns import Columns
from contract import Job, Rival, answer, compete
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import KFold, StratifiedKFold

SEARCH, ALL = 0.75, 0.95  # shares of the seconds after which the search, and the last model, must end
TRIAL = 0.25  # no trial takes a larger share: what is chosen must then be learnt again from all rows
ROUNDS, PATIENCE = 1000, 30
MANY = 5000  # rows; beyond them one fold of the five is enough to judge
DEFAULTS = {"learning_rate": 0.1, "num_leaves": 31, "min_child_samples": 20, "subsample": 1.0, "colsample_bytree": 1.0,
            "reg_alpha": 1e-8, "reg_lambda": 1e-8}  # fmt: skip


class TunedLightGBM(Rival):
    """The defaults are the first trial."""

    package = "lightgbm"

    def fit(self, job: Job) -> None:
        self.job, self.start = job, time.monotonic()
        rows, self.target = job.table()
        self.columns = Columns.of(rows)
        self.rows = self.columns(rows)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=job.seed))
        study.enqueue_trial(DEFAULTS)
        study.optimize(self.trial, timeout=SEARCH * job.seconds)
        best = study.best_trial
        self.model = self.learner(best.params, best.user_attrs["rounds"])
        self.model.fit(self.rows, self.target, callbacks=[self.until(ALL)])

    def trial(self, trial: optuna.Trial) -> float:
        """Mean score over the folds; a fold that the clock cuts counts with the rounds it has."""
        chosen = space(trial)
        scores, rounds, end = [], [], min(SEARCH, self.used() + TRIAL)
        for train, held in self.folds():
            model = self.learner(chosen, ROUNDS)
            stop = lgb.early_stopping(PATIENCE, verbose=False)
            model.fit(self.rows.iloc[train], self.target.iloc[train], callbacks=[stop, self.until(end)],
                      eval_set=[(self.rows.iloc[held], self.target.iloc[held])])  # fmt: skip
            score = accuracy_score if self.job.classes else r2_score
            scores.append(score(self.target.iloc[held], model.predict(self.rows.iloc[held])))
            rounds.append(model.best_iteration_ or model.n_iter_)
            if self.used() > end:
                break
        trial.set_user_attr("rounds", max(1, int(np.mean(rounds))))
        return float(np.mean(scores))

    def folds(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Five folds, or of many rows the first of the five."""
        kind = StratifiedKFold if self.job.classes else KFold
        cut = list(kind(5, shuffle=True, random_state=self.job.seed).split(self.rows, self.target))
        return cut[:1] if len(self.rows) > MANY else cut

    def learner(self, chosen: dict[str, Any], rounds: int) -> Any:
        """An unfitted model."""
        kind = lgb.LGBMClassifier if self.job.classes else lgb.LGBMRegressor
        return kind(**chosen, n_estimators=rounds, subsample_freq=1, random_state=self.job.seed, n_jobs=self.job.cores,
                    verbosity=-1)  # fmt: skip

    def used(self) -> float:
        """The share of the seconds that is gone."""
        return (time.monotonic() - self.start) / self.job.seconds

    def until(self, share: float) -> Callable[[Any], None]:
        """A callback that ends boosting when this share of the seconds is gone."""

        def stop(state: Any) -> None:
            if self.used() > share:
                raise lgb.callback.EarlyStopException(state.iteration, state.evaluation_result_list or [])

        stop.order = 40  # type: ignore[attr-defined]  # after early stopping, which remembers the best round
        return stop

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        seen = self.columns(rows)
        if not self.job.classes:
            return pd.DataFrame({"prediction": self.model.predict(seen)})
        return answer(self.model.classes_, self.model.predict_proba(seen))

    def save(self, folder: Path) -> Path:
        self.model.booster_.save_model(folder / "model.txt")
        return folder


def space(trial: optuna.Trial) -> dict[str, Any]:
    """What is searched."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 4, 256, log=True),
        "min_child_samples": trial.suggest_int("min_child_samples", 2, 100, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.4, 1.0),
        "reg_alpha": trial.suggest_float("reg_alpha", 1e-8, 10.0, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-8, 10.0, log=True),
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    compete(TunedLightGBM())
