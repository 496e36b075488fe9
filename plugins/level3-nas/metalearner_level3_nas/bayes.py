"""Bayesian search: a tree-structured Parzen estimator over the numbers of a skeleton, and over families.

Bergstra et al. 2011, multivariate as in Falkner et al. 2018. Optuna is the sampler; its studies live in memory, one a
skeleton, and are rebuilt from the trials. A study of one skeleton answers in some 3 ms where one study over all
families takes 20 ms, and samples the same: conditional spaces are independent groups there too.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from metalearner import grammar
from metalearner.kinds import Choice, Family, Float, Moment, Name, Proposer, Range, Scope, Searcher
from metalearner.records import Config, Proposal, Trial

from .chance import allowed, beside, softly
from .history import Entry, History

# Until a study knows so many configs it draws by chance.
STARTUP = 5
# A study is told anew when what is known about one of its configs has changed by so much skill.
CHANGED = 5e-3
# For siblings: the configs that are nearest in the numbers that stay fixed.
NEAREST = 40
# Siblings that a study draws, at 5 ms each; further ones are steps from the proposal.
DRAWN = 6
# Of a sibling's loose numbers, the share that is kept while no study knows better.
BESIDE = 0.5
# Draws until a study is said to have nothing new.
DRAWS = 6


class Study:
    """TPE over a space of numbers by path."""

    def __init__(self, space: Mapping[str, Range], seed: int) -> None:
        self.space, self.seed = dict(space), seed
        self.values: dict[str, Mapping[str, Any]] = {}  # of each config by its key
        self._told: dict[str, float] = {}
        self._optuna: Any = None

    def __len__(self) -> int:
        return len(self._told)

    def tell(self, scores: Mapping[str, float]) -> None:
        """What is known of each config whose values are there; greater is better."""
        stale = any(abs(scores.get(k, math.inf) - s) > CHANGED for k, s in self._told.items())
        if stale or self._optuna is None:
            self._told, self._optuna = {}, _study(self.seed)
        for key, score in scores.items():
            if key not in self._told:
                self._told[key] = score
                _add(self._optuna, self.space, self.values[key], score)

    def draw(self) -> dict[str, Any] | None:
        """The values that promise most; None while too little is known."""
        return _sample(self._optuna, self.space) if len(self) >= STARTUP else None

    def draw_beside(self, held: Mapping[str, Any], loose: Sequence[str], n: int) -> list[dict[str, Any]]:
        """Up to n draws of the loose values, judged by the configs nearest in all that stays as it is held."""
        free = {path: r for path, r in self.space.items() if path in loose}
        if len(self) < STARTUP or not free:
            return []
        fixed = {path: r for path, r in self.space.items() if path not in loose}
        nearest = sorted(self._told, key=lambda k: _distance(fixed, held, self.values[k]))[:NEAREST]
        near = _study(self.seed + len(self))
        for key in nearest:
            _add(near, free, self.values[key], self._told[key])
        return [_sample(near, free) for _ in range(n)]


class Studies:
    """A study for every skeleton that is asked about, told from the history."""

    def __init__(self, history: History) -> None:
        self.history, self.productions = history, history.scope.productions
        self._studies: dict[str, Study] = {}
        self._told: dict[str, int] = {}  # version of the history

    def of(self, name: str, skeleton: Config, entries: Sequence[Entry]) -> Study:
        """The study of a family or an invented skeleton, told all that is known of these entries."""
        if name not in self._studies:
            seed = self.history.scope.seed + len(self._studies)
            self._studies[name] = Study(grammar.space(skeleton, self.productions), seed)
        study = self._studies[name]
        if self._told.get(name) != self.history.version:
            study.values |= {
                e.key: grammar.numbers(e.config, self.productions) for e in entries if e.key not in study.values
            }
            study.tell(scores(entries, self.history))
            self._told[name] = self.history.version
        return study


def scores(entries: Sequence[Entry], history: History) -> dict[str, float]:
    """What a study is told: skills, and for what failed a little less than the worst."""
    known = {e.key: history.skill(e) for e in entries}
    worst = min((s for s in known.values() if s is not None), default=0.0)
    return {key: worst - history.noise if s is None else s for key, s in known.items()}


class Tpe(Searcher):
    """Bayesian search over all families and all their numbers."""

    name = "tpe"

    def begin(self, scope: Scope) -> Proposer:
        """A proposer for one run."""
        return ByBayes(scope)


class ByBayes(Proposer):
    """The family by one estimator, its numbers by another."""

    name = "tpe"

    def __init__(self, scope: Scope) -> None:
        self.scope, self.history = scope, History(scope)
        self.studies = Studies(self.history)
        self.family = Study({"family": Choice(tuple(sorted(scope.families)))}, scope.seed)

    def ask(self, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """At most n that were not made before; chance until enough is known."""
        self.history.learn(seen)
        families, rng = allowed(self.scope.families, moment), self.history.generator()
        found: list[Proposal] = []
        for _ in range(DRAWS * n if families else 0):
            name = self._family(families, rng)
            config, reason = self._numbers(families[name], rng)
            if self.history.fresh(config):
                arm = "tpe" if reason else "uniform"
                how = "near what did well on similar data" if name in self.scope.prior.soft else "by chance"
                reason = reason or f"too little known of {name}: its numbers {how}"
                found.append(Proposal(config, name, arm, reason, self.scope.prior.odds.get(name)))
                self.history.expect(found[-1])
            if len(found) == n:
                break
        return found

    def siblings(self, proposal: Proposal, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """The same shape with other loose numbers."""
        self.history.learn(seen)
        family = self.scope.families[proposal.family]
        study = self.studies.of(family.name, family.presets[0], self.history.of([family.name]))
        return siblings(proposal, n, study, self.history)

    def _family(self, families: Mapping[str, Family], rng: np.random.Generator) -> str:
        """By the estimator over families; by chance while it knows little, or names one that is not allowed now."""
        names = sorted(families)
        entries = [e for e in self.history.entries.values() if e.family in self.scope.families]
        self.family.values |= {e.key: {"family": e.family} for e in entries}
        self.family.tell(scores(entries, self.history))
        drawn = self.family.draw() if len(entries) >= len(names) + STARTUP else None
        if drawn is not None and drawn["family"] in families:
            return str(drawn["family"])
        return names[int(rng.integers(len(names)))]

    def _numbers(self, family: Family, rng: np.random.Generator) -> tuple[Config, str]:
        study = self.studies.of(family.name, family.presets[0], self.history.of([family.name]))
        drawn = study.draw()
        if drawn is None:
            return softly(family, self.scope, rng), ""
        return grammar.with_numbers(family.presets[0], drawn), f"TPE on {len(study)} configs of {family.name}"


def siblings(proposal: Proposal, n: int, study: Study, history: History) -> list[Proposal]:
    """At most n of a proposal's shape: some by its study where that knows enough, the rest near it; all by chance if it was."""
    if proposal.arm == "uniform":
        return beside(proposal, n, history)
    history.expect(proposal)  # not beside itself
    found: list[Proposal] = []
    loose = sorted(grammar.loose(proposal.config, history.scope.productions))
    held = grammar.numbers(proposal.config, history.scope.productions)
    for drawn in study.draw_beside(held, loose, min(n, DRAWN)):
        config = grammar.with_numbers(proposal.config, drawn)
        if history.fresh(config):
            reason = f"beside it: loose numbers by TPE on {min(NEAREST, len(study))} configs"
            found.append(replace(proposal, config=config, arm="tpe", reason=reason))
            history.expect(found[-1])
    return found + beside(proposal, n - len(found), history, near=BESIDE)


def _study(seed: int) -> Any:
    """An Optuna study that maximises, in memory."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=1,
            multivariate=True,
            constant_liar=False,  # what is still open is not told; who asks makes sure that nothing comes twice
        )
    return optuna.create_study(direction="maximize", sampler=sampler)


def _add(study: Any, space: Mapping[str, Range], values: Mapping[str, Any], score: float) -> None:
    """Tell one finished config; values out of range, which presets may have, are left out."""
    import optuna

    held = {p: r for p, r in space.items() if p in values and r.holds(values[p])}
    distributions = {p: _distribution(r) for p, r in held.items()}
    distributions = {p: d for p, d in distributions.items() if not hasattr(d, "choices") or values[p] in d.choices}
    params = {p: values[p] for p in distributions}
    study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=score))


def _sample(study: Any, space: Mapping[str, Range]) -> dict[str, Any]:
    """One draw of every number, all together. What it scores is told as another trial, if it is tried at all."""
    import optuna

    asked = study.ask({p: _distribution(r) for p, r in sorted(space.items())})
    study.tell(asked, state=optuna.trial.TrialState.FAIL)
    return dict(asked.params)


def _distribution(values: Range) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, Choice | Name):
        return CategoricalDistribution(list(values.options))
    if isinstance(values, Float):
        return FloatDistribution(values.low, values.high, log=values.log)
    return IntDistribution(values.low, values.high, log=values.log)


def _distance(space: Mapping[str, Range], a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    """How far two configs are apart in these numbers: places in their ranges, 1 for another option."""
    total = 0.0
    for path, values in space.items():
        if path not in a or path not in b:
            total += 1.0
        elif isinstance(values, Choice | Name):
            total += float(a[path] != b[path])
        else:
            total += abs(grammar.placed(values, a[path]) - grammar.placed(values, b[path]))
    return total
