"""Descriptions as points: standardised numbers, whether each was measurable, and the task sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .records import Description

# What counts beside one number: whether numbers are measurable at all, and the words of the task.
VALID, SENTENCE = 0.5, 0.5
# Standard deviations beyond this are not told apart.
CLIP = 4.0
# Numbers of a description that say what a cheap learner reaches, as a skill.
LANDMARKS = (
    "landmarkers.ridge", "landmarkers.neighbour", "landmarkers.relu", "complexity.neighbours", "complexity.column",
    "complexity.additive", "complexity.tree", "order.local", "order.folded", "symmetry.everywhere", "symmetry.unordered",
    "topology.recovered",
)  # fmt: skip


def landmark(numbers: Mapping[str, float | None]) -> float | None:
    """What the best of the cheap learners reaches, 0 to 1; None where none was measured."""
    known = [v for name in LANDMARKS if (v := numbers.get(name)) is not None]
    return min(1.0, max(0.0, *known)) if known else None


@dataclass(frozen=True)
class Space:
    """Centre and scale of each number over a set of descriptions."""

    names: tuple[str, ...]
    centre: np.ndarray  # (p,)
    scale: np.ndarray  # (p,)
    words: int  # length of the sentence vectors

    @classmethod
    def fit(cls, descriptions: Sequence[Description]) -> Self:
        """Median and median absolute deviation; the standard deviation where more than half are equal."""
        names = tuple(sorted({name for d in descriptions for name in d.numbers}))
        values = _values(descriptions, names)
        centre, scale = np.zeros(len(names)), np.ones(len(names))
        for j, column in enumerate(values.T):
            known = column[np.isfinite(column)]
            if len(known):
                centre[j] = np.median(known)
                spread = 1.4826 * float(np.median(np.abs(known - centre[j]))) or float(known.std())
                # A few data sets that chance to agree must not make every other look far away.
                scale[j] = max(spread, 0.02 + 0.05 * abs(centre[j]))
        return cls(names, centre, scale, max((len(d.sentence) for d in descriptions), default=0))

    def standard(self, descriptions: Sequence[Description]) -> np.ndarray:
        """(n, p) standardised and clipped numbers, NaN where not measurable."""
        return np.clip((_values(descriptions, self.names) - self.centre) / self.scale, -CLIP, CLIP)

    def points(self, descriptions: Sequence[Description]) -> np.ndarray:
        """(n, 2p + words) float32: a unit of distance is a unit of standard deviation in every number."""
        standard = self.standard(descriptions)
        valid = np.isfinite(standard)
        words = np.zeros((len(descriptions), self.words))
        for row, d in zip(words, descriptions):
            if len(d.sentence) == self.words:
                row[:] = d.sentence
        each = 1 / np.sqrt(max(1, len(self.names)))
        blocks = [np.where(valid, standard, 0.0) * each, valid * VALID * each, words * SENTENCE]
        return np.ascontiguousarray(np.concatenate(blocks, axis=1), dtype=np.float32)

    def to_json(self) -> dict[str, Any]:
        """Plain lists."""
        return {"names": self.names, "centre": self.centre.tolist(), "scale": self.scale.tolist(), "words": self.words}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        centre, scale = np.array(found["centre"]), np.array(found["scale"])
        return cls(tuple(found["names"]), centre, scale, int(found["words"]))


def _values(descriptions: Sequence[Description], names: Sequence[str]) -> np.ndarray:
    """(n, p) numbers, NaN where missing."""
    table = [[d.numbers.get(name) for name in names] for d in descriptions]
    values = np.array(table, dtype=np.float64).reshape(len(descriptions), len(names))  # None becomes NaN
    return np.where(np.isfinite(values), values, np.nan)
