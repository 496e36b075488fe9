"""Descriptions as points, and the past data sets that lie near a new one, with weights.

A point is the standardised numbers, whether each was measurable, and the task sentence. A Gaussian kernel
weighs the neighbours; data sets of one group share one weight; what is left of 1 goes to "nothing like it",
by how unusual the distance of the nearest is among the distances in the base itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..records import Description

# What counts beside one number: whether numbers are measurable at all, and the words of the task.
VALID, SENTENCE = 0.5, 0.5
# Standard deviations beyond this are not told apart.
CLIP = 4.0
# Of one group at most so many members are brought: more say the same again.
SIBLINGS = 3
# Some doubt always remains.
LEAST_DOUBT = 0.05


@dataclass(frozen=True)
class Space:
    """Centre and scale of each number over a set of descriptions."""

    names: tuple[str, ...]
    centre: np.ndarray  # (p,)
    scale: np.ndarray  # (p,)
    words: int  # length of the sentence vectors

    @classmethod
    def fit(cls, descriptions: Sequence[Description]) -> Space:
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

    def embed(self, descriptions: Sequence[Description]) -> np.ndarray:
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


class Index:
    """The past data sets as points in a FAISS index, with the distances between them."""

    def __init__(self, descriptions: Mapping[str, Description], groups: Mapping[str, str]) -> None:
        import faiss

        self.ids = tuple(sorted(descriptions))
        self.groups = groups
        self.descriptions = [descriptions[i] for i in self.ids]
        self.space = Space.fit(self.descriptions)
        self.standard = self.space.standard(self.descriptions)
        points = self.space.embed(self.descriptions)
        self._index = faiss.IndexFlatL2(max(1, points.shape[1]))
        if len(self.ids):
            self._index.add(points)
        self.own = self._own(points)

    def nearest(self, description: Description, k: int) -> list[tuple[str, float]]:
        """At most k (id, distance), nearest first, at most SIBLINGS of one group."""
        if not self.ids:
            return []
        squared, rows = self._index.search(self.space.embed([description]), len(self.ids))
        found: list[tuple[str, float]] = []
        counted: dict[str, int] = {}
        for distance, row in zip(np.sqrt(np.maximum(squared[0], 0.0)), rows[0]):
            group = self.groups[self.ids[row]]
            if counted.get(group, 0) < SIBLINGS and len(found) < k:
                counted[group] = counted.get(group, 0) + 1
                found.append((self.ids[row], float(distance)))
        return found

    def doubt(self, distance: float) -> float:
        """The weight of "nothing like it": the squared share of the base's own distances that are smaller.

        A data set as far off as the base's own typically are from one another has a quarter; one half as far
        again as the loneliest of them has all. Squared, since the typical should be believed.
        """
        if len(self.own) < 2:
            return 0.5  # too few data sets to know what is far
        steps = np.arange(len(self.own) + 2) / (len(self.own) + 1)
        marks = np.concatenate([[0.0], self.own, [1.5 * self.own[-1] + 1e-9]])
        return float(np.clip(np.interp(distance, marks, steps) ** 2, LEAST_DOUBT, 1.0))

    def shared(self, description: Description, other: str, n: int = 3) -> tuple[str, ...]:
        """The numbers in which both are unusual in the same way, most telling first."""
        mine, theirs = self.space.standard([description])[0], self.standard[self.ids.index(other)]
        telling = np.minimum(np.abs(mine), np.abs(theirs)) - 2 * np.abs(mine - theirs)
        telling = np.where(np.isfinite(telling) & (mine * theirs > 0), telling, 0.0)
        return tuple(self.space.names[j] for j in np.argsort(-telling, kind="stable")[:n] if telling[j] > 0)

    def _own(self, points: np.ndarray) -> np.ndarray:
        """Sorted distances from each data set to the nearest of another group."""
        if len(self.ids) < 2:
            return np.zeros(0)
        groups = np.unique([self.groups[i] for i in self.ids], return_inverse=True)[1]
        norms = (points.astype(np.float64) ** 2).sum(axis=1)
        squared = norms[:, None] + norms[None, :] - 2.0 * points.astype(np.float64) @ points.T.astype(np.float64)
        squared[groups[:, None] == groups[None, :]] = np.inf
        nearest = np.sqrt(np.maximum(squared.min(axis=1), 0.0))
        return np.sort(nearest[np.isfinite(nearest)])


def weigh(found: Sequence[tuple[str, float]], groups: Mapping[str, str], doubt: float) -> list[float]:
    """Weights that sum to 1 - doubt: exp(-(d/h)^2) of each group's nearest, h the median distance, shared in the group."""
    if not found:
        return []
    distances = np.array([d for _, d in found])
    kernel = np.exp(-((distances / max(float(np.median(distances)), 1e-9)) ** 2))
    labels = np.unique([groups[i] for i, _ in found], return_inverse=True)[1]
    top, total = np.zeros(labels.max() + 1), np.zeros(labels.max() + 1)
    np.maximum.at(top, labels, kernel)
    np.add.at(total, labels, kernel)
    weights = kernel * top[labels] / total[labels]
    return [float(w) for w in (1 - doubt) * weights / weights.sum()]


def _values(descriptions: Sequence[Description], names: Sequence[str]) -> np.ndarray:
    """(n, p) numbers, NaN where missing."""
    table = [[d.numbers.get(name) for name in names] for d in descriptions]
    values = np.array(table, dtype=np.float64).reshape(len(descriptions), len(names))  # None becomes NaN
    return np.where(np.isfinite(values), values, np.nan)
