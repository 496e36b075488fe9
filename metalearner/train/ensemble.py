"""One model out of many: greedy selection with replacement on out-of-fold predictions, then calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset import Dataset
from ..kinds import Aim, Modality, Transform
from ..predictor import Member, Predictor
from ..records import Trial

# Selection looks at the best few only, and stops adding when nothing helps any more.
CANDIDATES, ROUNDS = 20, 25
# How much the finer metric counts beside the task's own.
FINER = 0.1
# New rows fall into the conformal region this often.
LEVEL = 0.9


@dataclass(frozen=True)
class Selection:
    """Which trials with which weights, and the out-of-fold prediction they give together."""

    weights: dict[str, float]  # by trial name
    rows: np.ndarray
    prediction: np.ndarray
    score: float


def select(trials: Sequence[Trial], folder: Path, dataset: Dataset, aim: Aim) -> Selection:
    """Greedy ensemble selection with replacement (Caruana et al. 2004), cut where it was best."""
    sign = 1 if aim.metric.greater_is_better else -1
    usable = [t for t in trials if t.outcome == "ok" and t.score is not None and np.isfinite(t.score)]
    usable = sorted(usable, key=lambda t: -sign * (t.score or 0.0))[:CANDIDATES]
    rows = np.load(folder / usable[0].name / "rows.npy")
    stored = {t.name: np.load(folder / t.name / "prediction.npy") for t in usable}
    target = dataset.target[rows]

    score = _objective(aim, dataset, target)

    chosen: list[str] = []
    best: tuple[float, list[str]] = (-np.inf, [])
    for _ in range(ROUNDS):
        value, name = max((score(_mean(aim, stored, [*chosen, n])), -i, n) for i, n in enumerate(stored))[::2]
        chosen.append(name)
        if value > best[0] + 1e-9:
            best = (value, list(chosen))
        elif len(chosen) >= len(best[1]) + 5:
            break
    picked = best[1] or chosen[:1]
    weights = {n: picked.count(n) / len(picked) for n in dict.fromkeys(picked)}
    together = _mean(aim, stored, picked)
    return Selection(weights, rows, together, aim.metric.score(target, together, aim.state))


def _objective(aim: Aim, dataset: Dataset, target: np.ndarray) -> Callable[[np.ndarray], float]:
    """Skill in the task's metric, plus a little of the finer one: steps of one row hide what a member adds."""
    naive = aim.output.baseline(aim.state, dataset.target, len(target))
    parts = [(aim.metric, 1.0)]
    finer = aim.registry.metrics.get(aim.output.finer)
    if finer is not None and finer.name != aim.metric.name:
        parts.append((finer, FINER))
    floors = [m.score(target, naive, aim.state) for m, _ in parts]

    def objective(prediction: np.ndarray) -> float:
        total = sum(
            weight * m.skill(m.score(target, prediction, aim.state), floor) for (m, weight), floor in zip(parts, floors)
        )
        return float(total) if np.isfinite(total) else -np.inf

    return objective


def _mean(aim: Aim, stored: dict[str, np.ndarray], names: list[str]) -> np.ndarray:
    distinct = list(dict.fromkeys(names))
    return aim.output.merge([stored[n] for n in distinct], [names.count(n) / len(names) for n in distinct])


def assemble(
    selection: Selection, trials: Sequence[Trial], folder: Path, dataset: Dataset, aim: Aim, modality: Modality
) -> Predictor:
    """Load the selected models and calibrate what they say together.

    Calibration is fitted on the out-of-fold rows. Conformal scores come from the rows kept apart; where data
    were too scarce to keep any, from the out-of-fold rows (as in CV+).
    """
    by_name = {t.name: t for t in trials}
    transform: Transform = aim.registry.get("transforms", modality.transform)
    members = []
    for name, weight in selection.weights.items():
        trial = by_name[name]
        learner = aim.registry.get("learners", trial.config.production)
        models = tuple(learner.load(folder / name / str(i), aim) for i in range(len(dataset.folds)))
        members.append(Member(name, trial.proposal.family, trial.config, weight, models))
    states = tuple(transform.fit(dataset.fields.take(train), dataset.schema) for train, _ in dataset.folds)
    plain = Predictor(dataset.task, dataset.schema, modality, transform, aim.output, aim.state, states, tuple(members))
    target = dataset.target[selection.rows]
    calibration = aim.output.calibrate(aim.state, selection.prediction, target)
    return plain.calibrated_with(calibration, _conformal(plain, calibration, selection, dataset, aim))


def _conformal(plain: Predictor, calibration: dict[str, Any], selection: Selection, dataset: Dataset, aim: Aim) -> dict:
    if len(dataset.apart):
        prediction, rows = plain.raw(dataset.fields.take(dataset.apart)), dataset.apart
        source = "rows kept apart"
    else:
        prediction, rows, source = selection.prediction, selection.rows, "out-of-fold rows"
    fitted = aim.output.conform(aim.state, aim.output.calibrated(calibration, prediction), dataset.target[rows], LEVEL)
    return {**fitted, "source": source}
