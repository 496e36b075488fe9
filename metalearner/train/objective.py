"""What a worker does with a job: fit it on the folds of its rung, score it out of fold, leave the models on disk."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import disk, machine
from ..arrays import Fold
from ..dataset import Dataset
from ..errors import Pruned
from ..kinds import Aim, Fitted, Job, Model, Transform
from ..records import Config, Trial, plain
from .merit import Merit


@dataclass
class Objective:
    """Job -> a trial for each of its proposals. Everything a trial leaves lies in `trials/<number>/`."""

    dataset: Dataset
    transform: Transform
    aim: Aim
    trials: Path
    began: float  # time.monotonic() of the run's begin
    # What a model takes once it is deployed; asked where the task limits that.
    weigh: Callable[[Model, Config, Fold], dict[str, Any]] | None = None
    _folds: dict[int, Fold] = field(default_factory=dict)

    def __call__(self, job: Job) -> Iterator[Trial]:
        """Fit, score, save; whatever goes wrong becomes the outcome of the trials it stopped.

        Proposals that do not fit into memory together are fitted one by one with half as many rows in a batch; one
        that does not fit even so is out of memory.
        """
        machine.give_back_memory()  # that earlier ones, failed ones too, have left
        done, last = 0, time.monotonic()
        try:
            for trial in self._fit(job):
                done, last = done + 1, time.monotonic()
                yield trial
            return
        except Exception as problem:  # a failing trial never takes the run down; it is named and shown
            if disk.full(self.trials):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from problem
            failure = problem
        rest = _rest(job, done)
        if _out_of_memory(failure) and not job.rung.halved:
            for i in range(len(rest.numbers)):
                yield from self(_single(rest, i, replace(job.rung, halved=1)))
        elif len(rest.numbers) > 1:  # one of them may have failed all
            for i in range(len(rest.numbers)):
                yield from self(_single(rest, i, job.rung))
        elif rest.numbers:
            yield self._failed(rest, failure, time.monotonic() - last)

    def _fit(self, job: Job) -> Iterator[Trial]:
        """The trials of proposals that share a learner, as their fits are finished."""
        last, left, each = time.monotonic(), 0, 0.0
        learner = self.aim.registry.get("learners", job.proposals[0].config.production)
        earlier = [self.trials / name if name else None for name in job.resume] or [None] * len(job.proposals)
        whole = [_done(folder, job) for folder in earlier]
        # Where every config has the same folds behind it, those are taken over; what is left is fitted.
        kept = set.intersection(*whole) if whole else set()
        folds = [self.fold(i) for i in self._indices(job) if i not in kept]
        configs = [p.config for p in job.proposals]
        if len(configs) == 1 and self.dataset.task.limits.size:
            self._light(learner.look(configs[0], self.fold(0).views, self.aim))
        fits = learner.fit(configs, folds, self.aim, job.rung, earlier) if folds else (Fitted(c, ()) for c in configs)
        for i, (folder, fitted) in enumerate(zip(earlier, fits)):
            now = time.monotonic()
            if not left:  # fitted side by side they come at the end, all at once: each took its share
                left = int(fitted.facts.get("batch", 1))
                each = (now - last) / left
            last, left = now, left - 1
            one = _single(job, i, job.rung)
            try:
                yield self._finished(one, _Result(fitted, folds, folder, kept, each))
            except (FloatingPointError, Pruned) as problem:
                yield self._failed(one, problem, each)

    def _finished(self, job: Job, result: _Result) -> Trial:
        """Score, write everything into a hidden folder, give that its name."""
        weight = self._weighed(result) if job.rung.share >= 1 else {}
        part = self._part(job.numbers[0])
        began = time.monotonic()
        rows, prediction, merits = self._out_of_fold(result)
        row_seconds = (time.monotonic() - began) / max(1, sum(len(fold.valid_target) for fold in result.folds))
        np.save(part / "rows.npy", rows)
        np.save(part / "prediction.npy", prediction)
        for fold, model in zip(result.folds, result.fitted.models):
            (part / str(fold.index)).mkdir()
            model.save(part / str(fold.index))
        for index in result.kept:
            assert result.earlier is not None
            shutil.copytree(result.earlier / str(index), part / str(index), copy_function=os.link)
        score, baseline = self.judge(rows, prediction)
        facts = {**_earlier_facts(result.earlier), **result.fitted.facts, "baseline": baseline}
        facts |= weight
        if result.folds:
            facts["row_seconds"] = row_seconds
        facts |= {"folds": len(merits), "share": job.rung.share, "seconds_before": _seconds_before(result.earlier)}
        facts |= {"merit": float(np.mean(merits)), "merits": merits}
        skill = self.aim.metric.skill(score, baseline)
        trial = self._trial(job, result.seconds)
        return self._written(part, replace(trial, outcome="ok", score=score, skill=skill, facts=facts))

    def _light(self, facts: Mapping[str, Any]) -> None:
        """Raise Pruned where weights alone take more than the task allows."""
        weights = sum(float(facts.get(name, 0)) for name in ("weight_bytes", "beside_bytes"))
        problem = self.dataset.task.limits.exceeded(weights, 0.0)
        if problem:
            raise Pruned(problem, "The task limits what is deployed.", "Allow more, or take a smaller one.")

    def _weighed(self, result: _Result) -> dict[str, Any]:
        """What the first model takes where the task limits that. Raises Pruned where it is too much."""
        limits = self.dataset.task.limits
        if not limits.given or self.weigh is None or not result.folds or "bytes" in _earlier_facts(result.earlier):
            return {}
        fitted, fold = result.fitted, result.folds[0]
        found = self.weigh(fitted.models[0], fitted.config, fold)
        learner = self.aim.registry.get("learners", fitted.config.production)
        found["beside_bytes"] = learner.look(fitted.config, fold.views, self.aim).get("beside_bytes", 0)
        found["bytes"] += found["beside_bytes"]
        # What a pretrained model says of a row that was seen before is known: a new one takes longer.
        found["alone"] += sum(fitted.facts.get("row_shared", {}).values())
        problem = limits.exceeded(found["bytes"], found["alone"])
        if problem:
            raise Pruned(problem, "The task limits what is deployed.", "Allow more, or take a smaller one.")
        return found

    def _failed(self, job: Job, failure: Exception, seconds: float) -> Trial:
        """The trial of a proposal that could not be fitted, or not deployed, after so many seconds."""
        outcome = "crash"
        if isinstance(failure, Pruned):
            outcome = "pruned"
        elif _out_of_memory(failure):
            outcome = "out-of-memory"
        error = str(failure) if outcome == "pruned" else f"{type(failure).__name__}: {failure}"
        trial = replace(
            self._trial(job, seconds), outcome=outcome, error=error[:500], facts=dict(getattr(failure, "facts", {}))
        )
        return self._written(self._part(job.numbers[0]), trial)

    def _trial(self, job: Job, seconds: float) -> Trial:
        """The trial of a job with one proposal, before anything is known of it."""
        now, seed = time.monotonic() - self.began, job.rung.seed
        reach = job.rung.share * len(self._indices(job)) / len(self.dataset.folds)
        return Trial(job.numbers[0], job.proposals[0], "crash", seed, reach, None, None, max(seconds, 1e-3), now)

    def _part(self, number: int) -> Path:
        """A hidden folder for what is not finished; what an earlier attempt left in it is gone."""
        part = self.trials / f".{number:05d}.{os.getpid()}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        return part

    def _written(self, part: Path, trial: Trial) -> Trial:
        (part / "trial.json").write_text(json.dumps(plain(trial)))
        part.rename(self.trials / trial.name)
        return trial

    def _out_of_fold(self, result: _Result) -> tuple[np.ndarray, np.ndarray, list[float]]:
        """Row numbers, the predictions of the models that did not see them, and the merit on each fold."""
        found: dict[int, np.ndarray] = {}
        if result.kept:
            assert result.earlier is not None
            rows, prediction = (np.load(result.earlier / f"{name}.npy") for name in ("rows", "prediction"))
            place = {int(row): i for i, row in enumerate(rows)}
            for index in result.kept:
                found[index] = prediction[[place[int(row)] for row in self.dataset.folds[index][1]]]
        for fold, model in zip(result.folds, result.fitted.models):
            found[fold.index] = model.predict(fold.valid)
        order = sorted(found)
        rows = np.concatenate([self.dataset.folds[i][1] for i in order])
        prediction = np.concatenate([found[i] for i in order])
        if not np.all(np.isfinite(prediction)):
            raise FloatingPointError(f"{int(np.sum(~np.isfinite(prediction)))} predicted numbers are not finite")
        return rows, prediction, [self.merit(self.dataset.folds[i][1], found[i]) for i in order]

    def judge(self, rows: np.ndarray, prediction: np.ndarray) -> tuple[float, float]:
        """Score of a prediction of these rows, and the naive baseline's."""
        output, state, metric = self.aim.output, self.aim.state, self.aim.metric
        target = self.dataset.target[rows]
        naive = output.baseline(state, self.dataset.target, len(rows))
        return self.aim.score(prediction, target), metric.score(target, naive, state)

    def merit(self, rows: np.ndarray, prediction: np.ndarray) -> float:
        """What a prediction of these rows is chosen by."""
        naive = self.aim.output.baseline(self.aim.state, self.dataset.target, len(rows))
        return Merit(self.aim, self.dataset.target[rows], naive)(prediction)

    def _indices(self, job: Job) -> range:
        """The folds of a job's rung."""
        every = len(self.dataset.folds)
        return range(every if job.rung.folds is None else min(job.rung.folds, every))

    def fold(self, index: int) -> Fold:
        """One fold, from the disk where it was prepared once for all workers."""
        if index not in self._folds:
            self._folds[index] = self.dataset.fold(index, self.transform)
        return self._folds[index]


@dataclass(frozen=True)
class _Result:
    """A fit and what stands behind it."""

    fitted: Fitted
    folds: Sequence[Fold]  # that were fitted now
    earlier: Path | None  # the folder of the trial gone on with
    kept: set[int]  # folds taken over from it
    seconds: float


def _done(folder: Path | None, job: Job) -> set[int]:
    """The folds that an earlier trial has fitted as far as this job wants them."""
    if folder is None:
        return set()
    facts = json.loads((folder / "trial.json").read_text())["facts"]
    return set(range(facts["folds"])) if facts["share"] >= job.rung.share else set()


def _earlier_facts(folder: Path | None) -> dict[str, Any]:
    return {} if folder is None else dict(json.loads((folder / "trial.json").read_text())["facts"])


def _seconds_before(folder: Path | None) -> float:
    """What the rungs below have cost."""
    if folder is None:
        return 0.0
    earlier = json.loads((folder / "trial.json").read_text())
    return float(earlier["seconds"] + earlier["facts"]["seconds_before"])


def _out_of_memory(problem: Exception) -> bool:
    return isinstance(problem, MemoryError) or "memory" in str(problem).lower()


def _rest(job: Job, done: int) -> Job:
    """The proposals of a job that have no trial yet."""
    return replace(job, numbers=job.numbers[done:], proposals=job.proposals[done:], resume=job.resume[done:])


def _single(job: Job, i: int, rung: Any) -> Job:
    return Job(job.numbers[i : i + 1], job.proposals[i : i + 1], rung, job.resume[i : i + 1])
