"""The levels of automation as an order of price: with a goal, the cheapest that reaches it wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..kinds import Family
from ..records import Proposal, Trial
from .rungs import FULL

# Cheapest first: a solved task transferred, a member of the catalogue, a network searched for, operations of one's own.
PRICE = (2, 1, 3, 0)
NAMES = {
    2: "a solved task by transfer",
    1: "a family of the catalogue",
    3: "a network found by search",
    0: "custom operations",
}
# A level that has not got better for so many full fits has nothing more to give.
STALLED = 12
# Level 3 needs no family of its own: it grows from the grammar.
GROWN = 3


@dataclass
class Ladder:
    """Where a run with a goal stands. Without one everything is allowed from the start."""

    families: Mapping[str, Family]
    reaches: Callable[[Trial], bool] | None = None  # whether a full trial meets the goal beyond doubt; None: no goal
    only: frozenset[int] | None = None  # levels that the user allows; None: all
    levels: tuple[int, ...] = field(init=False)
    winner: Trial | None = None
    _checked: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        present = self.only if self.only is not None else {f.level for f in self.families.values()} | {GROWN}
        self.levels = tuple(level for level in PRICE if level in present)

    def allowed(self, seen: Sequence[Trial], spent: float) -> frozenset[int] | None:
        """The levels that may be tried now; None: all of them, for there is no goal to be cheap about."""
        if self.reaches is None:
            return self.only
        return frozenset(self.levels[: 1 + self._climbed(seen, spent)])

    def met(self, seen: Sequence[Trial]) -> bool:
        """Whether some full trial meets the goal; each is looked at once."""
        if self.reaches is None or self.winner is not None:
            return self.winner is not None
        for trial in seen:
            if trial.number in self._checked or trial.outcome != "ok" or trial.rung < FULL:
                continue
            self._checked.add(trial.number)
            if self.reaches(trial):
                self.winner = trial
                return True
        return False

    def said(self, seen: Sequence[Trial], spent: float) -> str:
        """At which level a run stopped, and why."""
        if self.reaches is None:
            return ""
        if self.winner is not None:
            level = self.level_of(self.winner.proposal)
            return (
                f"stopped at level {level} ({NAMES[level]}): {self.winner.proposal.family} meets the goal out of fold"
            )
        top = self.levels[self._climbed(seen, spent)]
        return f"climbed to level {top} ({NAMES[top]}): no single model met the goal beyond doubt while time was left"

    def level_of(self, proposal: Proposal) -> int:
        """The level of automation that a proposal stands on."""
        family = self.families.get(proposal.family)
        return family.level if family else GROWN

    def _climbed(self, seen: Sequence[Trial], spent: float) -> int:
        """How many levels are behind: a level is left when it has stalled, or when its share of the time is gone."""
        at = 0
        while at < len(self.levels) - 1:
            here = [
                t
                for t in seen
                if t.outcome == "ok" and t.rung >= FULL and self.level_of(t.proposal) in self.levels[: at + 1]
            ]
            if spent < (at + 1) / len(self.levels) and not _stalled(here):
                break
            at += 1
        return at


def _stalled(trials: Sequence[Trial]) -> bool:
    skills = [t.skill or 0.0 for t in trials]
    return len(skills) > STALLED and max(skills[-STALLED:]) <= max(skills[:-STALLED]) + 1e-3
