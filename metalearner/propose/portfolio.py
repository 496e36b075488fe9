"""A greedy portfolio of configs that together do well on past data sets, per expected second.

Where all of these weigh alike it is M0, one for everybody; on neighbours, weighed by nearness and, once a run has seen something, by
how far they rank configs as the run did (`agreement`), it is M1. With a ranker it is M2: what that expects of each config decides.
Auto-sklearn 2.0 (Feurer et al. 2022) and TabRepo (Salinas & Erickson 2024) build theirs the same way; here
the past data sets are weighted by nearness, and costs are those expected on the data at hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Self

import numpy as np

from ..kinds import Family, Moment, Prior, Proposer
from ..records import Config, Proposal, Recall, Trial, best_of_each
from ..weights import bounded
from .agreement import trust
from .candidates import CALLED_FOR, UNTRIED, Candidate, candidates
from .choice import ByGain, Choice, InOrder
from .odds import neighbours
from .ranker import FACTS, MERITS, Judge, State
from .regret import CEILING, FLAT, Here, pasts

# Regret before anything was tried, and of all other families on data that suit one family alone: the median config's.
START = 1.0
# A gain is divided by seconds to this power; less than the shortest makes no difference.
COST, SHORTEST = 0.5, 0.5
# A config may be expected to take so many times what is left: it can stop early.
OVERRUN = 1.5
# A family that failed so often without success has nothing more to say.
HOPELESS = 3


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
        judge: Judge | None = None,
        more: Iterable[tuple[Config, str]] = (),
    ) -> None:
        """`families` are those that accept the data; `here` tells past seconds for the data and the machine at hand.

        One that does not listen weighs neighbours by nearness alone, whatever the run finds out. With a `judge` it is M2.
        `more` are further configs to choose from, with their families.
        """
        here = here or Here()
        self.odds, self.listens, self.judge = dict(prior.odds), listens, judge
        self.room = here.room if here.room is not None else math.inf
        self.past = pasts(recall, here)
        self.families = dict(families)
        self.rank = {name: i for i, name in enumerate(families)}  # where nothing else decides
        near = np.array([p.neighbour.weight for p in self.past])
        self.doubt = recall.nothing_like_it if self.past else 1.0
        alone = np.full(len(self.families), self.doubt / max(1, len(self.families)))
        self.weights = np.concatenate([near, alone])  # (t,)
        self.candidates = sorted(candidates(self.past, self.families, here, more), key=self._plain)
        self.place = {c.key: i for i, c in enumerate(self.candidates)}
        self.regrets = self._regrets()  # (candidates, t)
        timed = [c.seconds for c in self.candidates if c.seconds is not None]
        typical = float(np.median(timed)) if timed else 1.0
        self.seconds = np.array([typical if c.seconds is None else c.seconds for c in self.candidates])
        self.whose = [c.family for c in self.candidates]
        self.closed = np.zeros(len(self.candidates), dtype=bool)
        self._words: np.ndarray | None = None

    def keep_to(self, ids: Collection[str]) -> Self:
        """Propose these configs alone."""
        self.closed = np.array([c.key not in ids for c in self.candidates], dtype=bool)
        return self

    def ask(self, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """The next n members of the portfolio, those already seen counted as its first."""
        seconds = self._expected(seen)
        choice, seconds, told = self._choice(seen, seconds)
        hopeless = _hopeless(seen)
        closed = self.closed | np.array([family in hopeless for family in self.whose], dtype=bool)
        closed |= seconds > OVERRUN * moment.seconds_left
        closed[[self.place[t.config.id] for t in seen if t.config.id in self.place]] = True
        proposals: list[Proposal] = []
        while len(proposals) < n and not closed.all():
            chosen = self._in_order(choice.best(closed), closed)
            closed[chosen] = True
            choice.take(chosen)
            words = "" if told is None else "; the ranker expects {1:.2f} ({0:.2f} to {2:.2f})".format(*told[chosen])
            proposals.append(self._proposal(self.candidates[chosen], float(seconds[chosen]), words))
        return proposals

    def _choice(self, seen: Sequence[Trial], seconds: np.ndarray) -> tuple[Choice, np.ndarray, np.ndarray | None]:
        """How to choose now, the seconds (candidates,) to expect, and quantiles of regret where a ranker tells them."""
        if not self.past:
            return InOrder(), seconds, None  # candidates lie in plain order
        correction: float | np.ndarray = 0.0
        told = None
        if self.judge is not None:
            said = self.judge.says(self.state(seen, self.judge.encode))
            correction, seconds, told = said.correction, np.minimum(seconds * said.slower, self.room), said.regrets
        weights, left = self._trusted(seen), self._left(seen)
        return ByGain(self.regrets, weights, left, _cost(seconds), correction), seconds, told

    def _left(self, seen: Sequence[Trial]) -> np.ndarray:
        """The regret (t,) that what was seen would have left on each past data set."""
        places = [self.place[t.config.id] for t in seen if t.outcome == "ok" and t.config.id in self.place]
        return np.min([np.full(len(self.weights), START), *self.regrets[places]], axis=0)

    def _trusted(self, seen: Sequence[Trial]) -> np.ndarray:
        """Weights (t,) of past data sets after what was seen."""
        if not self.listens:
            return self.weights
        weights = self.weights * trust(seen, self.place, self.regrets)
        weights[: len(self.past)] = bounded(weights[: len(self.past)], [p.neighbour.made for p in self.past])
        return weights * (self.weights.sum() / weights.sum())

    def state(self, seen: Sequence[Trial], encode: Callable[[Sequence[Config]], np.ndarray]) -> State:
        """What a ranker is told of every candidate; `encode` turns configs into its words."""
        if self._words is None:
            self._words = encode([c.config for c in self.candidates])
        trusted, past = self._trusted(seen), len(self.past)
        near = trusted[:past] / max(trusted[:past].sum(), 1e-12)
        table = self.regrets[:, :past]
        mean = table @ near
        known = np.array([[c.key in p.regret for p in self.past] for c in self.candidates])
        facts = {
            "mean": mean,
            "spread": np.sqrt((table - mean[:, None]) ** 2 @ near),
            "anywhere": table.mean(axis=1),
            "known": known @ near,
            "gain": np.maximum(0.0, self._left(seen) - self.regrets) @ trusted,
            "seconds": np.log(np.maximum(self._expected(seen), 1e-2)),
            "doubt": np.full(len(mean), self.doubt),
        }
        tried = [t for t in best_of_each(seen) if t.config.id in self.place]
        merits = np.array([t.merit for t in tried if t.outcome == "ok" and t.merit is not None], dtype=float)
        span = max(float(merits.max() - np.median(merits)), FLAT) if len(merits) else 1.0
        said = [
            (min(CEILING, float(merits.max() - t.merit) / span), 0.0)
            if t.outcome == "ok" and t.merit is not None
            else (CEILING, 1.0)
            for t in tried
        ]
        return State(
            facts=np.stack([facts[name] for name in FACTS], axis=1),
            words=self._words,
            seen=np.array([self.place[t.config.id] for t in tried], dtype=int),
            merits=np.array(said, dtype=np.float32).reshape(len(tried), MERITS),
        )

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

    def _proposal(self, c: Candidate, expected: float, told: str) -> Proposal:
        seconds = None if c.seconds is None else expected
        about = told + ("" if seconds is None else f", about {seconds:.1f} s")
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


def _cost(seconds: np.ndarray) -> np.ndarray:
    """What a gain is divided by."""
    return np.maximum(SHORTEST, seconds) ** COST


def _hopeless(seen: Iterable[Trial]) -> set[str]:
    """Families that failed again and again."""
    outcomes: dict[str, list[str]] = {}
    for t in seen:
        outcomes.setdefault(t.proposal.family, []).append(t.outcome)
    return {f for f, o in outcomes.items() if len(o) >= HOPELESS and not {"ok", "pruned"} & set(o)}
