"""What is kept of a run in the knowledge base."""

from __future__ import annotations

from .. import machine, runs
from ..records import Experience, Trial
from ..setting import Setting
from .foresee import Foresight

# Facts of a trial that mean something within its run alone.
OF_THE_RUN = ("curve", "baseline", "merit", "merits", "share", "seconds_before", "loss_reason", "fit_seconds", "batch",
             "row_seconds", "row_shared", "bytes", "alone", "form", "beside_bytes")  # fmt: skip


def learn(trials: list[Trial], setting: Setting, foresight: Foresight) -> tuple[int, list[str]]:
    """The run's trials become records of the base: how many were kept, and why others were refused."""
    found = [experience(t, setting) for t in trials]
    refused = foresight.base.add(setting.dataset.card, foresight.description, found)
    return len(found) - len(refused), refused


def experience(trial: Trial, setting: Setting) -> Experience:
    """A trial as the knowledge base keeps it."""
    card, task = setting.dataset.card, setting.task
    kept = {k: v for k, v in trial.facts.items() if k not in OF_THE_RUN} | {"speed": round(machine.speed(), 1)}
    return Experience(
        dataset=card.id,
        data_hash=card.data_hash,
        task={"output": task.output, "metric": task.metric},
        config=trial.config,
        family=trial.proposal.family,
        seed=trial.seed,
        rung=trial.rung,
        outcome=trial.outcome,
        metric=task.metric,
        score=trial.score,
        baseline=trial.facts.get("baseline"),
        skill=trial.skill,
        seconds=trial.cost,
        facts=kept,
        versions=runs.versions(setting.registry),
        hardware=runs.hardware(),
    )
