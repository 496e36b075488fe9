"""What probes saw of data, as pictures: what they show, and the paired landmarkers that a description holds already."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..kinds import Sight
from ..pictures import Picture, Series
from ..propose.leanings import CONFIRMED

Numbers = Mapping[str, float | None]


@dataclass(frozen=True)
class Pairs:
    """Cheap learners that differ in one thing alone, which data confirm or deny."""

    title: str
    says: str
    sides: tuple[str, str]
    pairs: Mapping[str, tuple[str, str]]  # by name, the skill of the first side and what it gains on the second

    def picture(self, numbers: Numbers) -> Picture | None:
        """The skills of both sides next to each other; None where nothing was measured."""
        found = list(self._measured(numbers))
        if not found:
            return None
        names, skills, gains, errors = zip(*found)
        sure = [name for name, z in zip(names, errors) if z > math.expm1(CONFIRMED)]
        says = f"{self.says} Confirmed, by more than two standard errors: {', '.join(sure) or 'nothing'}."
        notes = tuple(f"{gain:+.2f}, {z:.1f} standard errors" for gain, z in zip(gains, errors))
        first = Series(self.sides[0], names, skills, "bars", notes)
        second = Series(self.sides[1], names, tuple(skill - gain for skill, gain in zip(skills, gains)), "bars")
        return Picture(self.title, says, "", "skill", (first, second))

    def _measured(self, numbers: Numbers) -> Iterator[tuple[str, float, float, float]]:
        """(name, skill of the first side, its gain, that in standard errors)."""
        for name, (of, over) in self.pairs.items():
            skill, gain, z = (numbers.get(number) for number in (of, over, f"{over}_z"))
            if skill is not None and gain is not None and z is not None:
                yield name, skill, gain, math.copysign(math.expm1(abs(z)), z)


PAIRS = (
    Pairs(
        "intact against shuffled",
        "A cheap learner on data as they are and shuffled: what it gains is what a model may that knows the layout.",
        ("intact", "shuffled"),
        {
            "axes as they are": ("order.local", "order.gain"),
            "folded in rows": ("order.folded", "order.folded_gain"),
            "laid out anew": ("topology.recovered", "topology.recovered_gain"),
        },
    ),
    Pairs(
        "averaged against in place",
        "A cheap learner that cannot know where on an axis something is, and one that can: where it gains, place means nothing.",
        ("averaged", "in place"),
        {
            "local features": ("symmetry.everywhere", "symmetry.everywhere_gain"),
            "elements": ("symmetry.unordered", "symmetry.unordered_gain"),
        },
    ),
)


def paired(numbers: Numbers) -> list[Picture]:
    """The paired landmarkers of a description."""
    return [picture for pairs in PAIRS if (picture := pairs.picture(numbers)) is not None]


def pictured(sight: Sight) -> Picture:
    """What a probe shows."""
    if isinstance(sight.values[0], list | tuple):
        grid = tuple(tuple(_known(v) for v in row) for row in sight.values)  # type: ignore[union-attr]
        return Picture(sight.title, "", sight.axis, grid=grid)
    at = tuple(range(sight.first, sight.first + len(sight.values)))
    here = Series("here", at, tuple(_known(v) for v in sight.values))  # type: ignore[arg-type]
    if sight.chance is None:
        return Picture(sight.title, "", sight.axis, series=(here,))
    chance = Series("by chance", (at[0], at[-1]), (sight.chance,) * 2, "reference")
    return Picture(sight.title, "Dotted: what chance would give.", sight.axis, series=(here, chance))


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
