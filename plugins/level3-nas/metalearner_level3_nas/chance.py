"""Random search: any family, any numbers, each as likely as the next (Bergstra & Bengio 2012)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from metalearner import grammar
from metalearner.kinds import Family, Moment, Proposer, Scope, Searcher
from metalearner.records import Config, Proposal, Trial

from .history import History
from .steps import near, stepped

# Draws until chance is said to have nothing new.
DRAWS = 16
# The share, of configs and at most of seconds, that is drawn uniformly over families, numbers and derivations, so that
# nothing is ruled out.
UNIFORM = 0.1


class Random(Searcher):
    """Chance alone: what every other searcher has to beat."""

    name = "random"

    def begin(self, scope: Scope) -> Proposer:
        """A proposer for one run."""
        return ByChance(scope)


class ByChance(Proposer):
    """Uniform over families and, in each, over its numbers."""

    name = "random"

    def __init__(self, scope: Scope) -> None:
        self.scope, self.history = scope, History(scope)

    def ask(self, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """At most n that were not made before."""
        self.history.learn(seen)
        rng = self.history.generator()
        found: list[Proposal] = []
        for _ in range(DRAWS * n):
            proposal = self._one(moment, rng)
            if proposal is not None and self.history.fresh(proposal.config):
                self.history.expect(proposal)
                found.append(proposal)
            if len(found) == n:
                break
        return found

    def siblings(self, proposal: Proposal, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """The same shape with other loose numbers, uniform."""
        self.history.learn(seen)
        return beside(proposal, n, self.history)

    def _one(self, moment: Moment, rng: np.random.Generator) -> Proposal | None:
        families = allowed(self.scope.families, moment)
        if not families:
            return None
        name = sorted(families)[int(rng.integers(len(families)))]
        config = anywhere(families[name], self.scope.productions, rng)
        reason = f"one of {len(families)} families and its numbers by chance"
        return Proposal(config, name, "uniform", reason, self.scope.prior.odds.get(name))


def allowed(families: Mapping[str, Family], moment: Moment) -> dict[str, Family]:
    """The families whose level of automation may be tried now."""
    return {n: f for n, f in families.items() if moment.levels is None or f.level in moment.levels}


def anywhere(family: Family, productions: grammar.Productions, rng: np.random.Generator) -> Config:
    """One of a family's skeletons with numbers drawn uniformly."""
    return grammar.sample(family.presets[int(rng.integers(len(family.presets)))], productions, rng)


def softly(family: Family, scope: Scope, rng: np.random.Generator) -> Config:
    """Near what did well on similar data, by its weight; uniform where nothing is known, and for a share of the draws."""
    known = [(c, w) for c, w in scope.prior.soft.get(family.name, ()) if not grammar.check(c, scope.productions)]
    if not known or rng.random() < UNIFORM:
        return anywhere(family, scope.productions, rng)
    weights = np.array([w for _, w in known])
    return near(known[int(rng.choice(len(known), p=weights / weights.sum()))][0], scope.productions, rng)


def beside(proposal: Proposal, n: int, history: History, near: float = 0.0) -> list[Proposal]:
    """At most n of the same shape with other loose numbers: uniform, or a step away and kept with probability `near`."""
    rng, loose = history.generator(), grammar.loose(proposal.config, history.scope.productions)
    held = grammar.numbers(proposal.config, history.scope.productions)
    found: list[Proposal] = []
    for _ in range(DRAWS * n if loose else 0):
        moving = {path: r for path, r in loose.items() if rng.random() >= near}
        drawn = {p: stepped(r, held[p], rng) if near else grammar.draw(r, rng) for p, r in moving.items()}
        config = grammar.with_numbers(proposal.config, drawn)
        if not history.fresh(config):
            continue
        reason = "beside it: other " + ", ".join(sorted(path.rpartition(":")[2] for path in drawn)[:3])
        found.append(replace(proposal, config=config, arm="evolution" if near else "uniform", reason=reason))
        history.expect(found[-1])
        if len(found) == n:
            break
    return found
