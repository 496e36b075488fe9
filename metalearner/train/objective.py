"""What a worker does with a job: fit it on every fold, score it out of fold, leave the models on disk."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Fold
from ..dataset import Dataset
from ..kinds import Aim, Fitted, Job, Transform
from ..records import Trial, plain

# Folds of more elements than this are put through the transform anew for every trial instead of kept in memory.
KEEP_ELEMENTS = 2e8


@dataclass
class Objective:
    """Job -> Trial, for one data set. Everything a trial leaves lies in `trials/<number>/`."""

    dataset: Dataset
    transform: Transform
    aim: Aim
    trials: Path
    began: float  # time.monotonic() of the run's begin
    _folds: dict[int, Fold] = field(default_factory=dict)

    def __call__(self, job: Job) -> Trial:
        """Fit, score, save; whatever goes wrong becomes the trial's outcome."""
        start = time.monotonic()
        part = self.trials / f".{job.number:05d}.{os.getpid()}"
        try:
            part.mkdir(parents=True)
            facts, score, skill = self._fit(job, part)
            outcome, error = "ok", ""
        except MemoryError as problem:
            outcome, error, facts, score, skill = "out-of-memory", str(problem), {}, None, None
        except Exception as problem:  # a failing trial never takes the run down; it is named and shown
            memory = "memory" in str(problem).lower()
            outcome = "out-of-memory" if memory else "crash"
            error, facts, score, skill = f"{type(problem).__name__}: {problem}"[:500], {}, None, None
        now = time.monotonic()
        trial = Trial(
            number=job.number,
            proposal=job.proposal,
            outcome=outcome,
            seed=job.rung.seed,
            rung=job.rung.share,
            score=score,
            skill=skill,
            seconds=now - start,
            finished=now - self.began,
            facts=facts,
            error=error,
        )
        if outcome != "ok":
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True, exist_ok=True)
        (part / "trial.json").write_text(json.dumps(plain(trial)))
        part.rename(self.trials / trial.name)
        return trial

    def _fit(self, job: Job, folder: Path) -> tuple[dict[str, Any], float, float]:
        config = job.proposal.config
        learner = self.aim.registry.get("learners", config.production)
        folds = [self.fold(i) for i in range(len(self.dataset.folds))]
        resume = self.trials / job.resume if job.resume else None
        fitted = next(iter(learner.fit([config], folds, self.aim, job.rung, [resume])))
        rows, prediction = self.out_of_fold(fitted, folds)
        np.save(folder / "rows.npy", rows)
        np.save(folder / "prediction.npy", prediction)
        for fold, model in zip(folds, fitted.models):
            (folder / str(fold.index)).mkdir()
            model.save(folder / str(fold.index))
        score, baseline = self.judge(rows, prediction)
        facts = {**fitted.facts, "folds": len(folds), "baseline": baseline}
        return facts, score, self.aim.metric.skill(score, baseline)

    def out_of_fold(self, fitted: Fitted, folds: list[Fold]) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers and the predictions of the models that did not see them."""
        rows = np.concatenate([self.dataset.folds[f.index][1] for f in folds])
        prediction = np.concatenate([m.predict(f.valid) for f, m in zip(folds, fitted.models)])
        if not np.all(np.isfinite(prediction)):
            raise FloatingPointError(f"{int(np.sum(~np.isfinite(prediction)))} predicted numbers are not finite")
        return rows, prediction

    def judge(self, rows: np.ndarray, prediction: np.ndarray) -> tuple[float, float]:
        """Score of a prediction of these rows, and the naive baseline's."""
        output, state, metric = self.aim.output, self.aim.state, self.aim.metric
        target = self.dataset.target[rows]
        naive = output.baseline(state, self.dataset.target, len(rows))
        return metric.score(target, prediction, state), metric.score(target, naive, state)

    def fold(self, index: int) -> Fold:
        """One fold, transformed once and kept while it is small."""
        if index in self._folds:
            return self._folds[index]
        fold = self.dataset.fold(index, self.transform)
        if sum(t.values.size for t in fold.train.values()) * len(self.dataset.folds) < KEEP_ELEMENTS:
            self._folds[index] = fold
        return fold
