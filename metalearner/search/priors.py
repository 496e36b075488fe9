"""The searcher of the core: something quick first, then the priors, always a tenth by chance. Plugins bring cleverer ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .. import grammar
from ..kinds import Family, Moment, Proposer, Scope, Searcher
from ..records import Proposal, Trial

# So many proposals of the portfolio come first; afterwards these shares are drawn by chance and by the odds.
OPENING = 8
UNIFORM, DRAWN = 0.1, 0.4


class Priors(Searcher):
    """The portfolio of past runs, then draws by the odds."""

    name = "priors"

    def begin(self, scope: Scope) -> Proposer:
        """A proposer for one run."""
        return ByOdds(scope)


class ByOdds(Proposer):
    """A quick model, the portfolio, then draws by the odds beside the rest of the portfolio."""

    name = "priors"

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.rng = np.random.default_rng(scope.seed)
        self._asked = {self._key(p) for p in scope.begun}

    def ask(self, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """At most n proposals that were not made before."""
        self._asked |= {self._key(t.proposal) for t in seen}
        proposals: list[Proposal] = []
        for _ in range(4 * n):
            if len(proposals) == n:
                break
            proposal = self._one(seen, moment)
            if proposal is not None:
                self._asked.add(self._key(proposal))
                proposals.append(proposal)
        return proposals

    def siblings(self, proposal: Proposal, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """The same shape with other loose numbers, drawn by chance."""
        loose = grammar.loose(proposal.config, self.scope.productions)
        found: list[Proposal] = []
        for _ in range(4 * n if loose else 0):
            values = {path: grammar.draw(r, self.rng) for path, r in loose.items()}
            config = grammar.with_numbers(proposal.config, values)
            sibling = Proposal(config, proposal.family, self.name, "beside it: other loose numbers", proposal.odds)
            found += self._fresh([sibling])
            self._asked |= {self._key(p) for p in found}
            if len(found) >= n:
                break
        return found[:n]

    def _one(self, seen: Sequence[Trial], moment: Moment) -> Proposal | None:
        families = {
            name: f for name, f in self.scope.families.items() if moment.levels is None or f.level in moment.levels
        }
        if not self._asked and (first := self._fresh(quick(families))):
            return first[0]
        chance = self.rng.random() if len(self._asked) > OPENING else 1.0
        if families and chance < UNIFORM:
            return next(iter(self._fresh([self._draw(families, uniform=True)])), None)
        if families and chance < UNIFORM + DRAWN:
            return next(iter(self._fresh([self._draw(families, uniform=False)])), None)
        more = self._fresh(self.scope.portfolio.ask(len(self._asked) + 1, seen, moment))
        more = [p for p in more if p.family in families]
        if more or not families:
            return next(iter(more), None)
        return next(iter(self._fresh([self._draw(families, uniform=False)])), None)

    def _draw(self, families: Mapping[str, Family], uniform: bool) -> Proposal:
        """A family by its odds (or any), one of its presets, new numbers near it (or anywhere)."""
        names = sorted(families)
        believed = self.scope.prior.odds
        odds = np.array([1.0 if uniform else believed.get(n, 0.0) for n in names])
        odds = odds / odds.sum() if odds.sum() > 0 else np.full(len(names), 1 / len(names))
        name = names[int(self.rng.choice(len(names), p=odds))]
        presets = families[name].presets
        preset = presets[int(self.rng.integers(len(presets)))]
        config = grammar.sample(preset, self.scope.productions, self.rng, near=0.0 if uniform else 0.5)
        arm = "uniform" if uniform else "prior"
        drawn = f"drawn by odds {believed.get(name, 0.0):.2f}"
        reason = "drawn by chance, so that nothing is ruled out" if uniform else drawn
        return Proposal(config, name, arm, reason, odds=believed.get(name))

    def _fresh(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """Those whose config is valid and was not proposed yet."""
        valid = [p for p in proposals if not grammar.check(p.config, self.scope.productions)]
        return [p for p in valid if self._key(p) not in self._asked]

    def _key(self, proposal: Proposal) -> str:
        return grammar.complete(proposal.config, self.scope.productions).id


def quick(families: Mapping[str, Family]) -> list[Proposal]:
    """What gives a usable model within seconds, before anything is known of the data."""
    found = [f for f in families.values() if "quick" in f.tags]
    return [Proposal(f.presets[0], f.name, "first", "a usable model within seconds") for f in found]
