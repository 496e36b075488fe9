"""M0: a greedy portfolio of configs that together do well on the neighbours, per expected second.

Once a run has seen something it is M1: neighbours count by how far they rank configs as the run did (`agreement`).
Auto-sklearn 2.0 (Feurer et al. 2022) and TabRepo (Salinas & Erickson 2024) build theirs the same way; here
the past data sets are weighted by nearness, and costs are those expected on the data at hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..kinds import Family, Moment, Prior, Proposer
from ..records import Config, Proposal, Recall, Trial
from .agreement import trust
from .odds import neighbours
from .regret import Here, Past, pasts, seconds_for, weighted_quantile

# What is expected of a config of a family nobody has tried, and of one that the description calls for.
UNTRIED, CALLED_FOR = 0.5, 0.1
# Regret before anything was tried, and of all other families on data that suit one family alone: the median config's.
START = 1.0
# A gain is divided by seconds to this power; less than the shortest makes no difference.
COST, SHORTEST = 0.5, 0.5
# A config may be expected to take so many times what is left: it can stop early.
OVERRUN = 1.5
# A family that failed so often without success has nothing more to say.
HOPELESS = 3


@dataclass(frozen=True)
class Candidate:
    """A config of an accepted family and what is known of it on the neighbours."""

    key: str  # Config.id
    config: Config
    family: str
    preset: int | None  # its place among the family's presets
    known: int  # neighbours it ran on
    regret: float  # weighted mean on those; UNTRIED when there are none
    best_on: tuple[str, ...]  # names of the neighbours where none was better
    seconds: float | None  # expected here; None when nothing of its family was ever timed


class Portfolio(Proposer):
    """Proposes what lowers the regret left on the neighbours most per expected second.

    Each past data set counts by its weight. The weight of "nothing like it" is split among data sets that
    suit one family alone, so that each is tried sooner or later, the sooner the less the past is like this.
    """

    name = "portfolio"

    def __init__(
        self,
        recall: Recall,
        prior: Prior,
        families: Mapping[str, Family],
        here: Here | None = None,
        listens: bool = True,
    ) -> None:
        """`families` are those that accept the data; `here` tells past seconds for the data and the machine at hand.

        One that does not listen weighs neighbours by nearness alone, whatever the run finds out: M0.
        """
        here = here or Here()
        self.odds, self.listens = dict(prior.odds), listens
        self.room = here.room if here.room is not None else math.inf
        self.past = pasts(recall, here)
        self.families = dict(families)
        self.rank = {name: i for i, name in enumerate(families)}  # where nothing else decides
        near = np.array([p.neighbour.weight for p in self.past])
        doubt = recall.nothing_like_it if self.past else 1.0
        self.weights = np.concatenate([near, np.full(len(self.families), doubt / max(1, len(self.families)))])  # (t,)
        self.candidates = sorted(_candidates(self.past, self.families, here), key=self._plain)
        self.place = {c.key: i for i, c in enumerate(self.candidates)}
        self.regrets = self._regrets()  # (candidates, t)
        timed = [c.seconds for c in self.candidates if c.seconds is not None]
        typical = float(np.median(timed)) if timed else 1.0
        self.seconds = np.array([typical if c.seconds is None else c.seconds for c in self.candidates])
        self.whose = [c.family for c in self.candidates]

    def ask(self, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """The next n members of the portfolio, those already seen counted as its first."""
        places = {t.number: self.place[t.config.id] for t in seen if t.config.id in self.place}
        covered = [self.regrets[places[t.number]] for t in seen if t.outcome == "ok" and t.number in places]
        left = np.min([np.full(len(self.weights), START), *covered], axis=0)
        weights = self.weights * trust(seen, self.place, self.regrets) if self.listens else self.weights
        weights = weights * (self.weights.sum() / weights.sum())
        seconds = self._expected(seen)
        hopeless = _hopeless(seen)
        closed = np.array([family in hopeless for family in self.whose], dtype=bool)
        closed |= seconds > OVERRUN * moment.seconds_left
        closed[list(places.values())] = True
        cost = np.maximum(SHORTEST, seconds) ** COST
        proposals: list[Proposal] = []
        while len(proposals) < n and not closed.all():
            chosen = self._in_order(self._next(left, weights, cost, closed), closed)
            closed[chosen] = True
            left = np.minimum(left, self.regrets[chosen])
            proposals.append(self._proposal(self.candidates[chosen], float(seconds[chosen])))
        return proposals

    def _next(self, left: np.ndarray, weights: np.ndarray, cost: np.ndarray, closed: np.ndarray) -> int:
        """Largest gain per cost; where none gains, the lowest regret for its cost; at last the plainest."""
        if not self.past:
            return int(np.argmin(closed))  # candidates lie in plain order
        gain = np.maximum(0.0, left - self.regrets) @ weights / cost
        regret = (self.regrets @ weights) * cost
        order = np.lexsort([regret.round(9), -gain.round(9), closed])  # stable: plain order decides last
        return int(order[0])

    def _in_order(self, chosen: int, closed: np.ndarray) -> int:
        """The chosen one; of presets that nobody tried, the first of its family: they lie in the order of their promise."""
        c = self.candidates[chosen]
        if c.known or c.preset is None:
            return chosen
        alike = [
            (other.preset, i)
            for i, other in enumerate(self.candidates)
            if other.family == c.family and not other.known and other.preset is not None and not closed[i]
        ]
        return min(alike)[1]

    def _regrets(self) -> np.ndarray:
        """Regret of each candidate on each neighbour, measured or imputed, then on data that suit one family alone."""
        table = np.full((len(self.candidates), len(self.weights)), START)
        names = list(self.families)
        usual = {f: self._usual(f) for f in names}  # a family that suits none of a neighbour's axes is not to blame
        for t, past in enumerate(self.past):
            here = {f: imputed if (imputed := past.imputed(f)) is not None else usual[f] for f in names}
            table[:, t] = [past.regret.get(c.key, here[c.family]) for c in self.candidates]
        for i, c in enumerate(self.candidates):
            table[i, len(self.past) + names.index(c.family)] = min(c.regret, START)
        return table

    def _usual(self, family: str) -> float:
        """The regret to expect of a family where it was not tried: as where it was, each neighbour by its weight."""
        known = [(p.neighbour.weight, r) for p in self.past if (r := p.imputed(family)) is not None]
        if not known:
            return CALLED_FOR if self.families[family].evidence else UNTRIED
        weights = [max(w, 1e-12) for w, _ in known]
        return float(np.average([r for _, r in known], weights=weights))

    def _plain(self, c: Candidate) -> tuple:
        """Defaults, then other presets, then configs found by search; linear first, then by level, the quick first."""
        family = self.families[c.family]
        place = len(family.presets) if c.preset is None else c.preset
        linear, quick = c.config.production == "linear", "quick" in family.tags
        return (min(place, 1), not linear, family.level, not quick, place, self.rank[c.family], c.key)

    def _proposal(self, c: Candidate, expected: float) -> Proposal:
        seconds = None if c.seconds is None else expected
        about = "" if seconds is None else f", about {seconds:.1f} s"
        if not self.past:
            preset = f"preset {c.preset + 1}" if c.preset else "default preset"
            reason = f"no past runs; the {preset} of {c.family}"
        elif not c.known:
            regret = float(self.regrets[self.place[c.key], : len(self.past)].mean())
            reason = f"not tried on {neighbours(len(self.past))}, counted as regret {regret:.2f}"
        else:
            best = f", the best on {', '.join(c.best_on[:3])}" if c.best_on else ""
            reason = f"regret {c.regret:.2f} on {neighbours(c.known)}{best}"
        return Proposal(c.config, c.family, self.name, reason + about, self.odds.get(c.family), seconds)

    def _expected(self, seen: Sequence[Trial]) -> np.ndarray:
        """Seconds of each candidate as trials here go, (candidates,): its own family's, all families' where it has none.

        None takes longer than one fit may.
        """
        ratios: dict[str, list[float]] = {}
        for t in seen:
            place = self.place.get(t.config.id)
            if t.outcome == "ok" and place is not None and self.candidates[place].seconds:
                ratios.setdefault(self.whose[place], []).append(t.cost / t.rung / self.seconds[place])
        usual = [float(np.median(r)) for r in ratios.values()]
        others = _bounded(usual) if sum(map(len, ratios.values())) >= 2 else 1.0
        speed = [_bounded(ratios[f]) if len(ratios.get(f, ())) >= 2 else others for f in self.whose]
        return np.minimum(self.seconds * np.array(speed), self.room)


def _bounded(ratios: Sequence[float]) -> float:
    """The median, within a factor of ten of what the records say."""
    return float(np.clip(np.median(ratios), 0.1, 10.0))


def _candidates(past: Sequence[Past], families: Mapping[str, Family], here: Here) -> Iterable[Candidate]:
    """Every config the neighbours know and every preset, of accepted families, once."""
    presets = {c.id: (i, name) for name, family in families.items() for i, c in enumerate(family.presets)}
    configs = {c.id: (c, name) for name, family in families.items() for c in family.presets}
    for p in past:
        configs |= {i: (p.configs[i], f) for i, f in p.family.items() if f in families and i not in configs}
    timed = {name: [(p, i) for p in past for i in p.seconds if p.family[i] == name] for name in families}
    usual = {name: _seconds(pairs, here) for name, pairs in timed.items()}
    for key, (config, family) in configs.items():
        ran = [p for p in past if key in p.regret]
        weights = [max(p.neighbour.weight, 1e-12) for p in ran]
        own = _seconds([(p, key) for p in ran if key in p.seconds], here)
        yield Candidate(
            key=key,
            config=config,
            family=family,
            preset=presets[key][0] if key in presets else None,
            known=len(ran),
            regret=float(np.average([p.regret[key] for p in ran], weights=weights)) if ran else UNTRIED,
            best_on=tuple(p.neighbour.name for p in ran if p.best == key),
            seconds=usual[family] if own is None else own,
        )


def _seconds(timed: Sequence[tuple[Past, str]], here: Here) -> float | None:
    """Weighted median of what configs took on neighbours, scaled to what is here."""
    if not timed:
        return None
    weights = [max(p.neighbour.weight, 1e-12) for p, _ in timed]
    return weighted_quantile([seconds_for(here, p, i) for p, i in timed], weights, 0.5)


def _hopeless(seen: Iterable[Trial]) -> set[str]:
    """Families that failed again and again."""
    outcomes: dict[str, list[str]] = {}
    for t in seen:
        outcomes.setdefault(t.proposal.family, []).append(t.outcome)
    return {f for f, o in outcomes.items() if len(o) >= HOPELESS and not {"ok", "pruned"} & set(o)}
