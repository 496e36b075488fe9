"""Tree-structured Parzen estimator through Optuna, over the families and the numbers in them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from .. import grammar
from ..kinds import Choice, Family, Float, Int, Metric, Name, Proposer, Range
from ..records import Proposal, Trial

# Until this many trials are in, Optuna's sampler draws by chance.
STARTUP = 8


class Tpe(Proposer):
    """An in-memory study rebuilt from the trials, so that trial files stay the only truth."""

    name = "tpe"

    def __init__(
        self, families: Mapping[str, Family], productions: grammar.Productions, metric: Metric, seed: int
    ) -> None:
        self.families, self.productions, self.metric = dict(families), productions, metric
        self.spaces = {n: grammar.space(f.presets[0], productions) for n, f in families.items()}
        self._study: Any = None
        self._seed = seed
        self._told: set[int] = set()
        self._open: dict[str, Any] = {}

    def ask(self, n: int, seen: Sequence[Trial], seconds_left: float) -> list[Proposal]:
        """Tell what is new, then sample."""
        self._learn(seen)
        proposals = []
        for _ in range(n):
            trial = self._study.ask()
            name = trial.suggest_categorical("family", sorted(self.families))
            family = self.families[name]
            values = {path: _suggest(trial, f"{name}|{path}", r) for path, r in self.spaces[name].items()}
            config = grammar.with_numbers(family.presets[0], values)
            self._open[config.id] = trial
            best = max((t.skill for t in seen if t.skill is not None), default=0.0)
            reason = f"TPE on {len(self._told)} finished trials, best skill so far {best:.3f}"
            proposals.append(Proposal(config, name, self.name, reason))
        return proposals

    def _learn(self, seen: Sequence[Trial]) -> None:
        import optuna

        if self._study is None:
            optuna.logging.set_verbosity(optuna.logging.ERROR)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of `group`
                sampler = optuna.samplers.TPESampler(
                    seed=self._seed, n_startup_trials=STARTUP, group=True, multivariate=True
                )
            better = optuna.study.StudyDirection
            direction = better.MAXIMIZE if self.metric.greater_is_better else better.MINIMIZE
            self._study = optuna.create_study(direction=direction, sampler=sampler)
        for trial in seen:
            if trial.number in self._told or trial.score is None or trial.proposal.family not in self.families:
                continue
            self._told.add(trial.number)
            asked = self._open.pop(trial.config.id, None)
            if asked is not None:
                self._study.tell(asked, trial.score)
                continue
            self._study.add_trial(self._as_optuna(trial))

    def _as_optuna(self, trial: Trial) -> Any:
        import optuna

        name = trial.proposal.family
        values = grammar.numbers(trial.config, self.productions)
        ranges = {p: r for p, r in self.spaces[name].items() if p in values and r.holds(values[p])}
        params = {f"{name}|{p}": values[p] for p in ranges}
        distributions = {f"{name}|{p}": _distribution(r) for p, r in ranges.items()}
        distributions = {k: d for k, d in distributions.items() if not hasattr(d, "choices") or params[k] in d.choices}
        return optuna.trial.create_trial(
            params={k: params[k] for k in distributions} | {"family": name},
            distributions=distributions
            | {"family": optuna.distributions.CategoricalDistribution(sorted(self.families))},
            value=trial.score,
        )


def _suggest(trial: Any, name: str, values: Range) -> Any:
    if isinstance(values, Choice | Name):
        return trial.suggest_categorical(name, list(values.options))
    if isinstance(values, Float):
        return trial.suggest_float(name, values.low, values.high, log=values.log)
    assert isinstance(values, Int)
    return trial.suggest_int(name, values.low, values.high, log=values.log)


def _distribution(values: Range) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, Choice | Name):
        return CategoricalDistribution(list(values.options))
    if isinstance(values, Float):
        return FloatDistribution(values.low, values.high, log=values.log)
    return IntDistribution(values.low, values.high, log=values.log)
