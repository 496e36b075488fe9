"""Who gets to propose, and when: something quick first, then the priors, then what the run itself has learnt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from .. import grammar
from ..kinds import Family, Metric, Prior, Proposer
from ..records import Proposal, Trial
from .tpe import Tpe

# So many proposals of the priors come before the run's own experience has a say.
OPENING = 8
# Shares afterwards; the rest goes on through the portfolio.
UNIFORM, LEARNT = 0.1, 0.55


class Strategy(Proposer):
    """A quick model, the portfolio, then TPE beside the rest of the portfolio, always a tenth by chance."""

    name = "strategy"

    def __init__(
        self,
        portfolio: Proposer,
        prior: Prior,
        families: Mapping[str, Family],
        productions: grammar.Productions,
        metric: Metric,
        seed: int = 0,
    ) -> None:
        self.portfolio, self.prior, self.families, self.productions = portfolio, prior, families, productions
        self.rng = np.random.default_rng(seed)
        believed = sorted(families, key=lambda f: -prior.odds.get(f, 0.0))
        self.tpe = Tpe({f: families[f] for f in believed[: max(3, len(believed) // 2)]}, productions, metric, seed)
        self._asked: set[str] = set()

    def ask(self, n: int, seen: Sequence[Trial], seconds_left: float) -> list[Proposal]:
        """At most n proposals that were not made before."""
        proposals: list[Proposal] = []
        for _ in range(4 * n):
            if len(proposals) == n:
                break
            proposal = self._one(seen, seconds_left)
            if proposal is not None:
                self._asked.add(self._key(proposal))
                proposals.append(proposal)
        return proposals

    def count(self, proposals: Iterable[Proposal]) -> None:
        """Count what was tried or begun before as proposed."""
        self._asked |= {self._key(p) for p in proposals}

    def _one(self, seen: Sequence[Trial], seconds_left: float) -> Proposal | None:
        if not self._asked and (first := self._fresh(quick(self.families))):
            return first[0]
        if len(self._asked) <= OPENING:
            opening = self._fresh(self.portfolio.ask(len(self._asked) + 1, seen, seconds_left))
            if opening:
                return opening[0]
        chance = self.rng.random()
        if chance < UNIFORM:
            return next(iter(self._fresh([self._draw(uniform=True)])), None)
        if chance < UNIFORM + LEARNT and len(seen) >= 3:
            return next(iter(self._fresh(self.tpe.ask(1, seen, seconds_left))), None)
        more = self._fresh(self.portfolio.ask(len(self._asked) + 1, seen, seconds_left))
        return more[0] if more else next(iter(self._fresh([self._draw(uniform=False)])), None)

    def _draw(self, uniform: bool) -> Proposal:
        """A family by its odds (or any), one of its presets, new numbers near it (or anywhere)."""
        names = sorted(self.families)
        odds = np.array([1.0 if uniform else self.prior.odds.get(n, 0.0) for n in names])
        odds = odds / odds.sum() if odds.sum() > 0 else np.full(len(names), 1 / len(names))
        name = names[int(self.rng.choice(len(names), p=odds))]
        presets = self.families[name].presets
        preset = presets[int(self.rng.integers(len(presets)))]
        config = grammar.sample(preset, self.productions, self.rng, near=0.0 if uniform else 0.5)
        arm = "uniform" if uniform else "prior"
        reason = (
            "drawn by chance, so that nothing is ruled out"
            if uniform
            else f"drawn by odds {self.prior.odds.get(name, 0.0):.2f}"
        )
        return Proposal(config, name, arm, reason, odds=self.prior.odds.get(name))

    def _fresh(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """Those whose config is valid and was not proposed yet."""
        return [
            p for p in proposals if not grammar.check(p.config, self.productions) and self._key(p) not in self._asked
        ]

    def _key(self, proposal: Proposal) -> str:
        return grammar.complete(proposal.config, self.productions).id


def quick(families: Mapping[str, Family]) -> list[Proposal]:
    """What gives a usable model within seconds, before anything is known of the data."""
    found = [f for f in families.values() if "quick" in f.tags]
    return [Proposal(f.presets[0], f.name, "first", "a usable model within seconds") for f in found]
