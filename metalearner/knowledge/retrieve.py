"""The past data sets that lie near a new one, with weights.

Points are those of the Embedder, or of the plain space of descriptions where there is none. A Gaussian kernel
weighs the neighbours; data sets of one group share one weight; what is left of 1 goes to "nothing like it",
by how unusual the distance of the nearest is among the distances in the base itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..records import Description
from ..space import Space
from .embedder import Embedder

# Of one group at most so many members are brought: more say the same again.
SIBLINGS = 3
# Some doubt always remains.
LEAST_DOUBT = 0.05


class Index:
    """The past data sets as points in a FAISS index, with the distances between them."""

    def __init__(
        self, descriptions: Mapping[str, Description], groups: Mapping[str, str], embedder: Embedder | None = None
    ) -> None:
        """All by the id of the data set; without an embedder points are the plain ones."""
        import faiss

        self.ids = tuple(sorted(descriptions))
        self.groups = groups
        self.descriptions = [descriptions[i] for i in self.ids]
        self.space = Space.fit(self.descriptions)
        self.standard = self.space.standard(self.descriptions)
        self._points = embedder.embed if embedder else self.space.points
        points = self._points(self.descriptions)
        self._index = faiss.IndexFlatL2(max(1, points.shape[1]))
        if len(self.ids):
            self._index.add(points)
        self.own = self._own(points)

    def nearest(self, description: Description, k: int) -> list[tuple[str, float]]:
        """At most k (id, distance), nearest first, at most SIBLINGS of one group."""
        if not self.ids:
            return []
        squared, rows = self._index.search(self._points([description]), len(self.ids))
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

    def numbers(self, other: str) -> Mapping[str, float | None]:
        """The description of one of them."""
        return self.descriptions[self.ids.index(other)].numbers

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
