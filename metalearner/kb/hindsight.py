"""What is said of data sets before anything is trained, judged by what came of them: the families named first, the forecast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from ..kinds import Moment
from ..knowledge import Base
from ..propose import propose
from ..propose.forecast import LEVEL, skills
from ..propose.regret import FLAT, pasts, weighted_quantile
from ..records import Experience
from ..space import landmark
from .replay import Case

# Families that are looked at, of those proposed first.
FIRST = 3


def hindsight(base: Base, found: Sequence[Case]) -> list[dict[str, Any]]:
    """A row for each of these data sets, which the base was asked about as strangers."""
    right = {c.card.id: best_families(base.experiences(c.card.id), c.families) for c in found}
    rows = []
    for one in found:
        group = base.groups()[one.card.id]
        others = [c for c in found if c.card.modality == one.card.modality and base.groups()[c.card.id] != group]
        usual = Counter(f for c in others for f in right[c.card.id])
        constant = [name for name, _ in usual.most_common(FIRST)]
        rows.append(
            {"dataset": one.card.name, "group": group, "modality": one.card.modality,
             "believed": bool(right[one.card.id] & set(believed_most(one))),
             "named": bool(right[one.card.id] & set(named_first(one))),
             "constant": bool(right[one.card.id] & set(constant)), **foretold(one)}
        )  # fmt: skip
    return rows


def believed_most(one: Case) -> list[str]:
    """The families with the highest odds, as `metalearner propose` lists them."""
    odds = propose(one.task, one.recall, one.families, one.metric, baseline=0.0).odds
    return sorted(odds, key=lambda f: (-odds[f], f))[:FIRST]


def named_first(one: Case) -> list[str]:
    """The first families that would be tried: of what is believed in what is cheap comes early."""
    asked = one.portfolio()
    proposed = (p.family for p in asked.ask(len(asked.candidates), [], Moment()))
    return list(dict.fromkeys(proposed))[:FIRST]


def best_families(experiences: Iterable[Experience], families: Collection[str]) -> set[str]:
    """Of these families, those with a config within one standard error of their best, told by second seeds of the same configs.

    What search composed has no family that could be named beforehand.
    """
    seeds: dict[tuple[str, str], list[float]] = {}
    for e in experiences:
        if e.family in families and e.outcome == "ok" and e.rung >= 1 and e.skill is not None:
            seeds.setdefault((e.family, e.config.id), []).append(e.skill)
    twice = [s[:2] for s in seeds.values() if len(s) > 1]
    error = max(FLAT, float(np.sqrt(np.mean([(a - b) ** 2 / 2 for a, b in twice])))) if twice else FLAT
    means = {key: float(np.mean(s)) for key, s in seeds.items()}
    best = max(means.values(), default=0.0)
    return {family for (family, _), mean in means.items() if mean >= best - error}


def foretold(one: Case) -> dict[str, float]:
    """The forecast of the best skill beside the best one known, and how well it scores beside quantiles of neighbours' skills."""
    past = pasts(one.recall)
    truth = max(e.skill for e in one.everything.values() if e.outcome == "ok" and e.skill is not None)
    if not past:
        return {"truth": truth}
    weight = np.array([max(p.neighbour.weight, 1e-12) for p in past])
    low, middle, high = skills(past, weight, one.recall.nothing_like_it, landmark(one.description.numbers))
    best = [max(p.skill.values()) for p in past]
    lowest, highest = (weighted_quantile(best, weight, share) for share in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return {
        "truth": truth, "low": low, "middle": middle, "high": high,
        "score": interval_score(low, high, truth), "neighbours_score": interval_score(lowest, highest, truth),
    }  # fmt: skip


def interval_score(low: float, high: float, truth: float) -> float:
    """Width, and what a miss costs (Gneiting and Raftery 2007); less is better.

    >>> round(interval_score(0.2, 0.6, 0.5), 3), round(interval_score(0.2, 0.6, 0.7), 3)
    (0.4, 1.4)
    """
    miss = max(low - truth, truth - high, 0.0)
    return high - low + 2 / (1 - LEVEL) * miss
