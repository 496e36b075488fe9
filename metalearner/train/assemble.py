"""From selected trials to one function: their models loaded, and what they say together calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..dataset import Dataset
from ..kinds import Aim, Modality, Transform
from ..predictor import Member, Predictor
from ..records import Trial
from .crossfit import crossfit
from .ensemble import Selection, folds_of

# New rows fall into the conformal region this often.
LEVEL = 0.9


def assemble(
    selection: Selection, trials: Sequence[Trial], folder: Path, dataset: Dataset, aim: Aim, modality: Modality
) -> Predictor:
    """The selected models with their weights, not calibrated yet."""
    by_name = {t.name: t for t in trials}
    transform: Transform = aim.registry.get("transforms", modality.transform)
    members = []
    for name, weight in selection.weights.items():
        trial = by_name[name]
        learner = aim.registry.get("learners", trial.config.production)
        many = min(folds_of(trial, dataset), selection.models or len(dataset.folds))
        models = tuple(learner.load(folder / name / str(i), aim) for i in range(many))
        members.append(Member(name, trial.proposal.family, trial.config, weight, models))
    states = tuple(dataset.transform_state(i, transform) for i in range(max(len(m.models) for m in members)))
    return Predictor(dataset.task, dataset.schema, modality, transform, aim.output, aim.state, states, tuple(members))


def settle(plain: Predictor, selection: Selection, dataset: Dataset, aim: Aim) -> Predictor:
    """Calibrated, with the decision that serves the metric, and regions that hold what they promise.

    Calibration is fitted on the out-of-fold rows. Conformal scores come from the rows kept apart; where data
    were too scarce to keep any, from the out-of-fold rows (as in CV+), each calibrated by others.
    """
    task, target = dataset.task, dataset.target[selection.rows]
    calibration = aim.output.calibrate(aim.state, selection.prediction, target)
    said = aim.output.calibrated(calibration, selection.prediction)
    state = aim.output.decide(aim.state, task.metric, task.goal, said, target)
    conformal = _conformal(plain, calibration, selection, dataset, aim)
    return replace(plain, state=state, calibration=calibration, conformal=conformal)


def _conformal(plain: Predictor, calibration: dict[str, Any], selection: Selection, dataset: Dataset, aim: Aim) -> dict:
    if len(dataset.apart):
        rows, source = dataset.apart, "rows kept apart"
        said = aim.output.calibrated(calibration, plain.raw(dataset.fields.take(rows)))
    else:
        rows, source = selection.rows, "out-of-fold rows"
        said, _ = crossfit(selection.prediction, dataset.target[rows], dataset.task, aim)
    return {**aim.output.conform(aim.state, said, dataset.target[rows], LEVEL), "source": source}
