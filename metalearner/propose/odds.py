"""How much each family is believed in, in closed form, so that the reason can be shown.

    odds = 0.9 x (what won on the neighbours + nothing_like_it x what wins anywhere) + 0.1 x uniform

On each neighbour belief is split among families by exp(-regret / 0.1) of their best configs. A family that was not tried there,
as one for texts on a table, counts as it does where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .regret import Past

FLOOR = 0.1
SOFTNESS = 0.1


@dataclass(frozen=True)
class Odds:
    """One family's odds, as the sum of what made them."""

    family: str
    neighbours: Mapping[str, float]  # part of the odds that each neighbour gave, by its name
    best: int  # neighbours on which the family was the best
    of: int  # neighbours on which something is known
    anywhere: float  # part for data like nothing known: what wins on average
    floor: float  # part that every family has

    @property
    def value(self) -> float:
        """The odds."""
        return sum(self.neighbours.values()) + self.anywhere + self.floor

    @property
    def reason(self) -> str:
        """One sentence, every number of which is read from here."""
        if not self.of:
            return "no past runs: uniform"
        telling = sorted(self.neighbours.items(), key=lambda item: -item[1])[:3]
        shown = ", ".join(f"{name} {percent(part)}" for name, part in telling if part >= 0.005)
        won = f"best on {self.best} of {neighbours(self.of)}" + (f" ({shown})" if shown else "")
        rest = f"{percent(self.anywhere)} from what wins anywhere, {percent(self.floor)} from the floor"
        return f"{self.family} {percent(self.value)}: {won}, {rest}"


def odds(past: Sequence[Past], nothing_like_it: float, families: Sequence[str]) -> dict[str, Odds]:
    """The odds of each family; they sum to 1 and none is below the uniform floor."""
    families = sorted(families)
    uniform = 1 / len(families)
    regrets = np.array([p.least(f) for p in past for f in families]).reshape(len(past), len(families))
    told = np.isfinite(regrets).any(axis=1)  # where none of them was tried nothing is known
    regrets, past = regrets[told], [p for p, some in zip(past, told) if some]
    known = list(zip(past, _shares(regrets, np.array([p.neighbour.weight for p in past]))))
    weight = np.array([p.neighbour.weight for p, _ in known])
    doubt = 1.0 if not known or weight.sum() <= 0 else min(1.0, nothing_like_it)
    trust = (1 - doubt) * weight / weight.sum() if doubt < 1 else np.zeros(len(known))
    anywhere = _anywhere(known, len(families))
    found = {}
    for j, family in enumerate(families):
        parts: dict[str, float] = {}
        for (p, share), t in zip(known, trust):
            parts[p.neighbour.name] = parts.get(p.neighbour.name, 0.0) + (1 - FLOOR) * float(t * share[j])
        best = int(sum(regrets[:, j] == np.nanmin(regrets, axis=1))) if known else 0
        rest = (1 - FLOOR) * doubt * float(anywhere[j])
        found[family] = Odds(family, parts, best, len(known), rest, FLOOR * uniform)
    return found


def neighbours(n: int) -> str:
    """How many, for people.

    >>> neighbours(1), neighbours(9)
    ('1 neighbour', '9 neighbours')
    """
    return "1 neighbour" if n == 1 else f"{n} neighbours"


def percent(share: float) -> str:
    """A share for people.

    >>> percent(0.384)
    '38 %'
    """
    return f"{100 * share:.0f} %"


def _shares(regrets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How belief splits among families on each neighbour, (t, f), by regrets (t, f) that are NaN where a family was not tried."""
    tried = np.isfinite(regrets)
    weight = np.maximum(weights, 1e-12)[:, None] * tried
    usual = np.divide((weight * np.nan_to_num(regrets)).sum(axis=0), weight.sum(axis=0),
                      out=np.full(regrets.shape[1], np.inf), where=tried.any(axis=0))  # fmt: skip
    filled = np.where(tried, regrets, usual)
    belief = np.exp(-(filled - filled.min(axis=1, keepdims=True, initial=np.inf)) / SOFTNESS)
    return belief / belief.sum(axis=1, keepdims=True)


def _anywhere(known: Sequence[tuple[Past, np.ndarray]], families: int) -> np.ndarray:
    """The average split, each group counted once, smoothed by one group that knows nothing."""
    groups: dict[str, list[np.ndarray]] = {}
    for p, share in known:
        groups.setdefault(p.neighbour.group, []).append(share)
    total = np.full(families, 1 / families) + sum(np.mean(s, axis=0) for s in groups.values())
    return total / (1 + len(groups))
