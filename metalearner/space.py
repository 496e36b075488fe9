"""Descriptions as points: standardised numbers, whether each was measurable, and the task sentence."""

from __future__ import annotations

from collections import Counter
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
    """Centre and scale of each number over a set of descriptions.

    Only what most of them were asked counts, in the version in which most were: that a few were described by a newer probe, or
    by one of a plugin, says nothing about the data.
    """

    names: tuple[str, ...]
    centre: np.ndarray  # (p,)
    scale: np.ndarray  # (p,)
    words: int  # length of the sentence vectors
    versions: Mapping[str, int]  # of the probes by name, that numbers are of
    valid: np.ndarray  # (p,) share of the descriptions, of those that were asked, in which it was measurable

    @classmethod
    def fit(cls, descriptions: Sequence[Description]) -> Self:
        """Median and median absolute deviation; the standard deviation where more than half are equal."""
        probes = Counter(probe for d in descriptions for probe in _asked(d).items())
        versions = dict(probe for probe, n in probes.items() if 2 * n > len(descriptions))
        every = set().union(*(d.numbers for d in descriptions))
        names = tuple(sorted(n for n in every if _probe(n) in versions))
        values, asked = _values(descriptions, names, versions)
        centre, scale, valid = np.zeros(len(names)), np.ones(len(names)), np.zeros(len(names))
        for j, column in enumerate(values.T):
            known = column[np.isfinite(column)]
            valid[j] = len(known) / asked[:, j].sum()
            if len(known):
                centre[j] = np.median(known)
                spread = 1.4826 * float(np.median(np.abs(known - centre[j]))) or float(known.std())
                # A few data sets that chance to agree must not make every other look far away.
                scale[j] = max(spread, 0.02 + 0.05 * abs(centre[j]))
        words = max((len(d.sentence) for d in descriptions), default=0)
        return cls(names, centre, scale, words, versions, valid)

    def standard(self, descriptions: Sequence[Description]) -> np.ndarray:
        """(n, p) standardised and clipped numbers, NaN where not measurable or not asked in this version."""
        return self._standard(descriptions)[0]

    def _standard(self, descriptions: Sequence[Description]) -> tuple[np.ndarray, np.ndarray]:
        """`standard`, and (n, p) what was asked."""
        values, asked = _values(descriptions, self.names, self.versions)
        return np.clip((values - self.centre) / self.scale, -CLIP, CLIP), asked

    def points(self, descriptions: Sequence[Description]) -> np.ndarray:
        """(n, 2p + words) float32: a unit of distance is a unit of standard deviation in every number.

        What was not asked lies where the most are.
        """
        standard, asked = self._standard(descriptions)
        known = np.isfinite(standard)
        valid = np.where(asked, known, self.valid)
        words = np.zeros((len(descriptions), self.words))
        for row, d in zip(words, descriptions):
            if len(d.sentence) == self.words:
                row[:] = d.sentence
        each = 1 / np.sqrt(max(1, len(self.names)))
        blocks = [np.where(known, standard, 0.0) * each, valid * VALID * each, words * SENTENCE]
        return np.ascontiguousarray(np.concatenate(blocks, axis=1), dtype=np.float32)

    def to_json(self) -> dict[str, Any]:
        """Plain lists."""
        numbers = {"centre": self.centre.tolist(), "scale": self.scale.tolist(), "valid": self.valid.tolist()}
        return {"names": self.names, **numbers, "words": self.words, "versions": dict(self.versions)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        centre, scale, valid = (np.array(found[name]) for name in ("centre", "scale", "valid"))
        return cls(tuple(found["names"]), centre, scale, int(found["words"]), dict(found["versions"]), valid)


def _probe(name: str) -> str:
    """Which probe measured a number."""
    return name.partition(".")[0]


def _asked(description: Description) -> Mapping[str, int]:
    """The versions of the probes that measured; where none are noted, those of its numbers in their first."""
    return description.probes or {_probe(name): 1 for name in description.numbers}


def _values(
    descriptions: Sequence[Description], names: Sequence[str], versions: Mapping[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """(n, p) numbers, NaN where missing; and (n, p) whether they were asked, in these versions of their probes."""
    of = list(map(_probe, names))
    probes = [{p: known.get(p) == version for p, version in versions.items()} for known in map(_asked, descriptions)]
    asked = [[known[p] for p in of] for known in probes]
    table = [[d.numbers.get(name) for name in names] for d in descriptions]
    shape = len(descriptions), len(names)
    values = np.array(table, dtype=np.float64).reshape(shape)  # None becomes NaN
    known = np.array(asked, dtype=bool).reshape(shape)
    return np.where(known & np.isfinite(values), values, np.nan), known
