"""Which arm is worth the next seconds: expected improvement per cost, cooled, of what the final ensemble is made of.

An arm is a family of the catalogue, or all that was invented. Its next config improves its best with a chance that falls
the longer it has not, and then by about as much as it did lately. What an improvement is worth is read off a soft maximum
over the arms' bests, which is what a greedy ensemble does with them: families as good as the best one count fully, also
beside it, and one far behind counts only if it may catch up. Cost matters a little less the less is left (CArBO, Lee et
al. 2020, lets it vanish; then the last part of a budget goes to what is dear).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .history import Entry, History

# Of the error that is left, the share by which a family that is as good lowers it in an ensemble: sets the softness.
VARIETY = 0.1
# An arm that improves is expected to take off this share of its error, until its own steps say otherwise.
STEP = 0.1
# Steps that this expectation counts for, and own steps that are remembered.
STEP_DOUBT, STEPS = 2, 4
# A config without improvement counts as this much of a step of nothing: the nearer the top, the smaller the steps.
STALE = 0.25
# No step takes off a larger share of the error that is left.
BOLDEST = 0.3
# An arm nobody tried is expected to come as far as the best one; odds of 1/e of the average take off so much skill.
UNTRIED = 0.05
# What the priors say counts as much as so many configs of this run: when all that they speak for is known, the rest has its turn.
PRIOR = 10
# Seconds that a trial costs beside its fit: asking, submitting, collecting.
OVERHEAD = 0.1
# How much of the cost no longer matters at the end: all of it would spend the last part on what is dear.
COOLING = 0.25
# Configs whose cost says something about the next one's.
RECENT = 12


@dataclass(frozen=True)
class Arm:
    """What is known of a family: its best, when and by how much it improved, what a config of it costs."""

    name: str
    best: float | None = None  # skill; None until something of it was fitted
    tried: int = 0
    since: int = 0  # configs since it last improved by more than chance
    steps: tuple[float, ...] = ()  # the last improvements, in skill
    seconds: float | None = None  # of one config, all rungs together
    first_seconds: float | None = None  # of its first rung alone
    odds: float = 1.0  # against an average family, from the priors
    open: int = 0  # proposals under way
    base: float | None = None  # skill of what its next config is made from, where that is not its own best


@dataclass(frozen=True)
class Outlook:
    """What the next config of an arm promises."""

    arm: Arm
    chance: float
    step: float
    gain: float  # expected, in the soft maximum's skill
    seconds: float
    worth: float  # gain per cooled cost: what arms are ranked by

    @property
    def reason(self) -> str:
        """Every number that the choice of this arm was made by."""
        if self.arm.best is None:
            known = f"{self.arm.name} not tried yet"
        else:
            known = f"{self.arm.name} .{_mille(self.arm.best)} after {self.arm.tried}, {self.arm.since} since a gain"
        return f"{known}; expected +{self.gain:.4f} for {self.seconds:.1f} s"


def outlooks(arms: Sequence[Arm], noise: float, spent: float, typical: float = 1.0) -> list[Outlook]:
    """The arms with what they promise, most worth first. `typical` seconds stand in where an arm was never timed."""
    bests = {a.name: a.best for a in arms if a.best is not None}
    top = max(bests.values(), default=0.0)
    softness = max(noise, VARIETY * max(0.0, 1 - top), 1e-4)
    found = []
    for arm in arms:
        chance, reached, step = _promise(arm, top)
        gain = chance * (_soft(bests | {arm.name: reached}, softness) - _soft(bests, softness)) if bests else chance
        seconds = typical if arm.seconds is None else arm.seconds
        worth = gain / cooled(seconds, spent)
        found.append(Outlook(arm, chance, step, gain, seconds, worth))
    return sorted(found, key=lambda o: (-o.worth, o.arm.name))


def cooled(seconds: float, spent: float) -> float:
    """What a cost counts for when this share of the budget is spent."""
    return (OVERHEAD + seconds) ** (1 - COOLING * spent)


def _promise(arm: Arm, top: float) -> tuple[float, float, float]:
    """Chance to improve (rule of succession), the skill reached then, and the step to it."""
    if arm.best is None:
        reached = min(1.0, top + UNTRIED * math.log(max(arm.odds, 1e-3)))
        return 1 / (2 + arm.tried + arm.open), reached, UNTRIED
    usual = STEP * max(0.0, 1 - arm.best)
    step = (STEP_DOUBT * usual + sum(arm.steps)) / (STEP_DOUBT + len(arm.steps) + arm.since * STALE)
    step = min(step, BOLDEST * max(0.0, 1 - arm.best))  # the way from a failure to something good is no measure
    return 1 / (2 + arm.since + arm.open), max(arm.best, arm.base or arm.best) + step, step


def _soft(bests: Mapping[str, float], softness: float) -> float:
    """Soft maximum: as if the ensemble gained `softness x log 2` from a second family as good as the best."""
    if not bests:
        return 0.0
    top = max(bests.values())
    return top + softness * math.log(sum(math.exp((b - top) / softness) for b in bests.values()))


@dataclass
class Ledger:
    """Reads arms off entries."""

    history: History
    odds: Mapping[str, float] = field(default_factory=dict)  # of the priors, by family

    def arm(self, name: str, entries: Sequence[Entry], under_way: int, expected: float | None) -> Arm:
        """An arm as its entries, oldest first, show it; `expected` seconds are those of past runs."""
        mean = 1 / max(1, len(self.odds))
        # Of what no prior speaks, what search composes above all, nothing bad is known.
        odds = (self.odds.get(name, mean) / mean) ** (PRIOR / (PRIOR + len(self.history.asked)))
        arm = Arm(name, odds=odds, open=under_way, seconds=expected)
        # What a gate refused before its fit has cost nothing, and says nothing about what passes it.
        entries = [e for e in entries if not e.refused or e.seconds > OVERHEAD]
        if not entries:
            return arm
        best, mark, since, steps = None, None, 0, []
        for entry in entries:
            skill = self.history.cautious(entry)
            since += 1
            if skill is None:
                continue
            best = skill if best is None else max(best, skill)
            if mark is None:
                mark, since = skill, 0
            elif skill > mark + self.history.noise:
                steps.append(skill - mark)
                mark, since = skill, 0
        paid = [e for e in entries if not e.failed or e.refused or e.trials[-1].outcome == "timeout"][-RECENT:]
        firsts = sorted(e.trials[0].seconds for e in paid)
        arm = replace(arm, best=best, tried=len(entries), since=since, steps=tuple(steps[-STEPS:]))
        if not paid:
            return arm
        return replace(arm, seconds=sum(e.seconds for e in paid) / len(paid), first_seconds=firsts[len(firsts) // 2])


def _mille(skill: float) -> str:
    return f"{round(1000 * min(max(skill, 0.0), 0.999)):03d}"
