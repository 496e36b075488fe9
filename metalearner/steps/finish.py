"""Stages 4 to 6: trials become one function, which is measured once, packaged, and given what it will be watched by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import runs
from ..data import Sealed
from ..data.fingerprint import row_hashes
from ..deploy import Bundle, package
from ..deploy.portable import PROOF
from ..deploy.weigh import weighed
from ..evaluate import Answers, Evidence, certain, evaluate
from ..events import Story
from ..kinds import Prior, State
from ..monitor import reference, shifted
from ..predictor import Predictor
from ..records import Scorecard, Trial
from ..search import Clock, price, shared
from ..setting import Setting
from ..train.assemble import assemble, settle
from ..train.crossfit import crossfit
from ..train.ensemble import Cost, Selection, expected, select
from .foresee import Foresight
from .seconds import in_time, left


@dataclass(frozen=True)
class Ensemble:
    """The selected trials with what they said out of fold, and the function they make together."""

    selection: Selection
    predictor: Predictor


def affordable(setting: Setting, sealed: Sealed | None, clock: Clock) -> Cost:
    """What trials cost to predict the rows kept apart, what is left for it, and what may be deployed."""
    return Cost(partial(price, rows=kept_apart(setting, sealed)), left(clock), setting.task.limits)


def kept_apart(setting: Setting, sealed: Sealed | None) -> int:
    """Rows that are predicted after the search."""
    return len(setting.dataset.apart) + (sealed.rows if sealed else 0)


def combine(
    trials: list[Trial], prior: Prior, sealed: Sealed | None, folder: Path, setting: Setting, clock: Clock, story: Story
) -> Ensemble:
    """One calibrated ensemble out of the trials, which predicts what is to come in the time there is."""
    cost, known = affordable(setting, sealed, clock), expected(prior)
    selection = select(trials, folder / "trials", setting.dataset, setting.aim, cost, known)
    dataset, members = setting.dataset, [t for t in trials if t.name in selection.weights]
    plain = assemble(selection, trials, folder / "trials", dataset, setting.aim, setting.modality)
    hurried = in_time(plain, members, dataset.fields, kept_apart(setting, sealed), clock)
    predictor = settle(hurried, selection, dataset, setting.aim)
    models = {"models": plain.models, "models_kept": hurried.models}
    story.tell("train", weights={f"{m.family} #{int(m.trial)}": m.weight for m in predictor.members},
               score=selection.score, metric=setting.task.metric, calibration=predictor.calibration,
               cut_short=selection.cut_short, rows=len(selection.rows), expected_rows=known.rows, **models)  # fmt: skip
    return Ensemble(selection, predictor)


def measure(
    ensemble: Ensemble, sealed: Sealed | None, setting: Setting, folder: Path, again: bool
) -> tuple[Answers, Answers]:
    """What is predicted for the sealed test, opened once; and for the rows held out of each fold, which stand in for it
    where there is none. Both are kept.

    `again` is for a run that had opened it before this process began, which therefore has tried nothing. Raises RunError
    where it was opened otherwise.
    """
    answers = held = held_out(ensemble, setting)
    held.save(folder / runs.HELD)
    if sealed is not None:
        inputs, target = sealed.open(again)
        naive = setting.output.baseline(setting.dataset.state, setting.dataset.target, len(target))
        prediction = ensemble.predictor.predict(inputs)
        answers = Answers(target, prediction, naive, "sealed test", np.arange(len(target)))
    answers.save(folder / runs.ANSWERS)
    return answers, held


def held_out(ensemble: Ensemble, setting: Setting) -> Answers:
    """What the ensemble said of rows held out of folds, calibrated and decided by others of them."""
    dataset, output, selection = setting.dataset, setting.output, ensemble.selection
    target = dataset.target[selection.rows]
    prediction, drawn = crossfit(selection.prediction, target, setting.task, setting.aim)
    naive = output.baseline(dataset.state, dataset.target, len(target))
    decided = None
    if any(state != dataset.state for _, state in drawn):
        decided = np.empty_like(prediction)
        for rows, state in drawn:
            decided[rows] = certain(output, state, prediction[rows])
    return Answers(target, prediction, naive, "out of fold", selection.rows, decided)


def judge(  # noqa: PLR0913, PLR0917 - what a verdict is made of
    answers: Answers, held: Answers, state: State, trials: list[Trial], setting: Setting, foresight: Foresight, clock: Clock,
    story: Story,
) -> Scorecard:  # fmt: skip
    """The score with its interval, and whether the goal is met, or what keeps it from that."""
    dataset = setting.dataset
    evidence = Evidence(
        trials=trials,
        forecast=foresight.prior.forecast,
        learning_rows=dataset.rows,
        held=held,
        alike=lambda: np.unique(row_hashes(dataset.fields)[held.rows], return_inverse=True)[1],
        slope=foresight.description.numbers.get("landmarkers.slope"),
        seconds=clock.elapsed,
        shifted=partial(moved, setting),
    )
    metrics = setting.registry.metrics
    scorecard = evaluate(setting.task, setting.output, state, metrics, answers, evidence)
    story.tell("evaluate", scorecard=scorecard)
    return scorecard


def moved(setting: Setting) -> tuple[str, ...]:
    """Inputs that lie otherwise in the sealed rows, after these were opened."""
    dataset, sealed = setting.dataset, Sealed.find((setting.dataset.folder or Path()) / "sealed")
    if sealed is None:
        return ()
    inputs, _ = sealed.open(again=True)
    learnt = reference(setting.modality, dataset.fields, dataset.schema, {})
    return shifted(learnt, setting.modality.features(inputs, dataset.schema))


def deliver(  # noqa: PLR0913, PLR0917 - what a bundle is made of
    folder: Path, ensemble: Ensemble, trials: list[Trial], answers: Answers, scorecard: Scorecard, setting: Setting,
    clock: Clock, story: Story,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """The bundle, with the reference that monitoring compares against; what it takes of each limit is returned.

    The reference holds predictions of rows not learnt from: in sample they would be surer than anything to come.
    """
    dataset, predictor = setting.dataset, ensemble.predictor
    said = setting.output.table(predictor.state, answers.prediction)
    drift = reference(setting.modality, dataset.fields, dataset.schema, said)
    about = {"rows": dataset.rows, "data": dataset.card, "target": dataset.label, "seed": trials[0].seed}
    proof = dataset.fields.take(np.arange(min(PROOF, dataset.rows)))
    place, registry = folder / "bundle", setting.registry
    bundle = package(place, predictor, scorecard, drift, about, proof, registry, clock.end - 1.0)
    limits = keeps(setting, folder, [t for t in trials if t.name in ensemble.selection.weights])
    story.tell("deploy", bundle=str(place), bytes=bundle.size, portable=bundle.portable, limits=limits)
    return limits


def keeps(setting: Setting, folder: Path, members: list[Trial]) -> dict[str, dict[str, Any]]:
    """For each limit of the task what it is, what the bundle takes, measured here and now, and whether that is kept.

    What has to be there beside the bundle counts, and what a pretrained model takes for a row it has not seen.
    """
    limits = setting.task.limits
    if not limits.given:
        return {}
    taken = weighed(Bundle.open(folder / "bundle", setting.registry), setting.dataset.fields.take(np.arange(1)))
    taken["size"] += max((float(t.facts.get("beside_bytes", 0.0)) for t in members), default=0.0)
    taken["latency"] += shared(members)
    asked = {name: value for name, value in vars(limits).items() if value is not None}
    return {n: {"limit": most, "taken": taken[n], "kept": taken[n] <= most} for n, most in asked.items()}
