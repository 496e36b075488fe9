"""The paired landmarker: the same local features on intact and on shuffled axes, and what the order is worth.

A difference above zero confirms that a learner which knows the axis has something to gain (Saxe et al. 2011).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensors
from ..kinds import Output, Probe
from ..records import View
from .filters import features, grid, shrink
from .flat import values
from .locality import correlation_along, hidden_width, squashed
from .ridge import Question, ridge

ORDERED = ("time", "space", "columns")
LEAST = 6  # positions an axis must have
REPEATS = 3  # each with folds, filters and a shuffle of its own


class Order(Probe):
    """Random local filters, pooled in regions, with ridge: intact against shuffled positions."""

    name = "order"
    explains = {
        "local": ("skill", "random local features on intact axes"),
        "shuffled": ("skill", "the same after one fixed shuffle of all positions"),
        "gain": ("skill", "what the order of positions is worth"),
        "gain_z": ("log1p(sd)", "that gain in standard errors over rows"),
        "folded": ("skill", "a table folded at its hidden width: random local features of that picture"),
        "folded_gain": ("skill", "what the order is worth in the folded picture"),
        "folded_gain_z": ("log1p(sd)", "that gain in standard errors over rows"),
    }

    def measure(
        self,
        tensors: Tensors,
        views: Mapping[str, View],
        target: np.ndarray,
        output: Output,
        rng: np.random.Generator,
    ) -> dict[str, float | None]:
        """Three-fold skills; of several views the one whose order is worth most."""
        seeds = [int(s) for s in rng.integers(1 << 31, size=REPEATS)]
        found: dict[str, float | None] = {}
        best = -np.inf
        for name, view in views.items():
            axes = [i for i, a in enumerate(view.axes) if a.kind in ORDERED and a.size >= LEAST][:2]
            if not axes:
                continue
            x = grid(values(tensors[name]), axes)
            local, shuffled, z = _pair(x, target, seeds)
            if local - shuffled > best:
                best = local - shuffled
                found |= {"local": local, "shuffled": shuffled, "gain": best, "gain_z": z}
            if view.kinds == ("columns",):
                width = hidden_width(correlation_along(values(tensors[name]), 1, rng), rng)[0]
                if width and x.shape[1] >= 3 * width:
                    rows = x.shape[1] // width
                    folded, scattered, z = _pair(x[:, : rows * width].reshape(len(x), rows, width, 1), target, seeds)
                    found |= {"folded": folded, "folded_gain": folded - scattered, "folded_gain_z": z}
        return found


def _pair(x: np.ndarray, target: np.ndarray, seeds: list[int]) -> tuple[float, float, float]:
    """Skill on intact positions of (n, h, w, c), on shuffled ones, and the log1p z of the difference over rows."""
    skills, differences = [], []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        question = Question.ask(target, rng)
        small = shrink(x, rng)
        flat = small.reshape(len(small), -1, small.shape[-1])
        scattered = flat[:, rng.permutation(flat.shape[1])].reshape(small.shape)
        said = [ridge(features(version, seed), question) for version in (small, scattered)]
        skills.append([question.skill(prediction) for prediction in said])
        differences.append(question.loss(said[1]) - question.loss(said[0]))
    gained = np.mean(differences, axis=0)  # (n,)
    z = float(gained.mean() / (gained.std() / np.sqrt(len(gained)) + 1e-6))
    local, shuffled = np.mean(skills, axis=0)
    return float(local), float(shuffled), squashed(z)
