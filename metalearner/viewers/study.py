"""A run as a study of Optuna's: what its dashboard reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import grammar
from ..errors import UserError
from ..plugins import Registry
from ..ranges import Choice, Float, Int, Name, Range
from ..records import FULL, Trial
from ..report.account import Account

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

FILE = "optuna.journal"


def write(account: Account, registry: Registry) -> Path:
    """One study, a trial a config, in the run's folder.

    A journal: Optuna's databases take ten times as long, and what is made of other files need not survive a crash.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    if account.task is None or not account.trials:
        raise UserError(f"Nothing was tried in '{account.folder}' yet.", "The dashboard shows trials.",
                        f"metalearner resume {account.folder}")  # fmt: skip
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = account.folder.absolute() / FILE  # Optuna's lock does not find its way from a relative one
    part = file.with_name(f".{FILE}.{os.getpid()}")
    part.unlink(missing_ok=True)
    metric = registry.get("metrics", account.task.metric)
    direction: Literal["maximize", "minimize"] = "maximize" if metric.greater_is_better else "minimize"
    storage = JournalStorage(JournalFileBackend(str(part)))
    study = optuna.create_study(storage=storage, study_name=account.name, direction=direction)
    study.set_user_attr("metric", account.task.metric)
    study.add_trials(trials(account, registry))
    part.replace(file)
    return file


def trials(account: Account, registry: Registry) -> list[FrozenTrial]:
    """The configs of a run as Optuna has trials, in the order in which they were begun."""
    configs: dict[str, list[Trial]] = {}
    for told in account.trials:
        trial = Trial.from_json(told)
        configs.setdefault(trial.config.id, []).append(trial)
    fits = sorted(configs.values(), key=lambda of_one: of_one[0].number)
    given = [_given(of_one[-1], registry) for of_one in fits]
    spaces = _together(given)
    began = datetime.fromtimestamp((account.folder / "request.json").stat().st_mtime)
    return [_trial(of_one, known, spaces, began, account.weights) for of_one, known in zip(fits, given)]


def _trial(
    fits: Sequence[Trial], given: Mapping[str, tuple[Any, Range]], spaces: Mapping[str, BaseDistribution], began: datetime,
    weights: Mapping[int, float],
) -> FrozenTrial:  # fmt: skip
    """A config with all its fits: partial ones are intermediate values, at the percent of a full fit."""
    from optuna.trial import TrialState, create_trial

    last = fits[-1]
    done = last.outcome == "ok" and last.rung >= FULL
    state = TrialState.COMPLETE if done else TrialState.PRUNED if last.outcome in ("ok", "pruned") else TrialState.FAIL
    facts = {k: v for k, v in last.facts.items() if isinstance(v, bool | int | float | str)}
    told = {"number": last.number, "outcome": last.outcome, "why": last.error, "by": last.proposal.arm,
            "reason": last.proposal.reason, "skill": last.skill, "share of the model": weights.get(last.number, 0.0)}  # fmt: skip
    made = create_trial(
        state=state,
        value=last.score if done else None,
        params={name: value for name, (value, _) in given.items()},
        distributions={name: spaces[name] for name in given},
        user_attrs={k: v for k, v in (told | facts).items() if v not in (None, "")},
        intermediate_values={round(100 * t.rung): t.score for t in fits if t.score is not None},
    )
    made.datetime_start = began + timedelta(seconds=max(0.0, fits[0].finished - fits[0].seconds))
    made.datetime_complete = began + timedelta(seconds=last.finished)
    return made


def _given(trial: Trial, registry: Registry) -> dict[str, tuple[Any, Range]]:
    """The family and every number of a config, with its range.

    A number is called by its place and its production: at one place several may stand, and each has ranges of its own.
    """
    family = trial.proposal.family
    found: dict[str, tuple[Any, Range]] = {"family": (family, Choice((family,)))}
    for path, node in trial.config.walk():
        production = registry.productions.get(node.production)  # none where no plugin that is installed knows it
        ranges = production.space() if production else {}
        for name, value in node.numbers.items():
            if isinstance(value, bool | int | float | str):
                called = grammar.address(path, f"{node.production}.{name}")
                found[called] = value, ranges.get(name) or Choice((value,))
    return found


def _together(given: Iterable[Mapping[str, tuple[Any, Range]]]) -> dict[str, BaseDistribution]:
    """One distribution a name, wide enough for every value there was: presets and past versions may lie outside a range."""
    values: dict[str, list[Any]] = {}
    ranges: dict[str, Range] = {}
    for known in given:
        for name, (value, within) in known.items():
            values.setdefault(name, []).append(value)
            ranges[name] = within
    return {name: _distribution(ranges[name], values[name]) for name in ranges}


def _distribution(within: Range, values: Sequence[Any]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(within, Choice | Name) or not all(isinstance(v, int | float) for v in values):
        options = getattr(within, "options", ())
        return CategoricalDistribution(list(dict.fromkeys([*options, *values])))
    wide: Float | Int = replace(within, low=min(within.low, *values), high=max(within.high, *values))
    log = wide.log and wide.low > 0
    if isinstance(wide, Int) and all(isinstance(v, int) for v in values):
        return IntDistribution(wide.low, wide.high, log=log)
    return FloatDistribution(wide.low, wide.high, log=log)
