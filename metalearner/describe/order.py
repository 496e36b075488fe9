"""The paired landmarker: the same local features on intact and on shuffled axes, and what the order is worth.

A difference above zero confirms that a learner which knows the axis has something to gain (Saxe et al. 2011).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensors
from ..kinds import Output, Probe
from ..records import View
from .flat import standardised, values
from .locality import correlation_along, hidden_width, squashed
from .ridge import Question, ridge

ORDERED = ("time", "space", "columns")
LEAST = 6  # positions an axis must have
REPEATS = 3  # each with folds, filters and a shuffle of its own
CHANNELS = 16
FILTERS = 36
WIDTHS = (3, 5, 9)  # of filters along one axis
REGIONS = 8  # along one axis; 3 x 3 along two


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
            x = _grid(values(tensors[name]), axes)
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
        small = _shrink(x, rng)
        flat = small.reshape(len(small), -1, small.shape[-1])
        scattered = flat[:, rng.permutation(flat.shape[1])].reshape(small.shape)
        said = [ridge(_features(version, seed), question) for version in (small, scattered)]
        skills.append([question.skill(prediction) for prediction in said])
        differences.append(question.loss(said[1]) - question.loss(said[0]))
    gained = np.mean(differences, axis=0)  # (n,)
    z = float(gained.mean() / (gained.std() / np.sqrt(len(gained)) + 1e-6))
    local, shuffled = np.mean(skills, axis=0)
    return float(local), float(shuffled), squashed(z)


def _grid(x: np.ndarray, axes: list[int]) -> np.ndarray:
    """(n, axes..., c) to (n, h, w, channels): one or two ordered axes, w = 1 for one; all else becomes channels.

    Each channel is standardised over samples and positions; what is missing is 0.
    """
    x = np.moveaxis(x, [a + 1 for a in axes], range(1, len(axes) + 1))
    x = x.reshape(*x.shape[: len(axes) + 1], -1)
    x = standardised(x.reshape(-1, x.shape[-1])).reshape(x.shape)
    return x[:, :, None, :] if len(axes) == 1 else x


def _shrink(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At most 128 steps of one axis or 20 x 20 of two, by averaging neighbours; at most 16 channels, mixed by chance."""
    limit = 128 if x.shape[2] == 1 else 20
    if x.shape[-1] > CHANNELS:
        x = x @ (rng.normal(size=(x.shape[-1], CHANNELS)) / np.sqrt(x.shape[-1])).astype(np.float32)
    for axis in (1, 2):
        factor = -(-x.shape[axis] // limit)
        if factor > 1:
            length = x.shape[axis] // factor
            x = np.moveaxis(np.moveaxis(x, axis, -1)[..., : length * factor], -1, axis)
            x = x.reshape(*x.shape[:axis], length, factor, *x.shape[axis + 1 :]).mean(axis=axis + 1)
    return x


def _features(x: np.ndarray, seed: int) -> np.ndarray:
    """Random local filters, ReLU, mean over each region: (n, h, w, c) -> (n, features)."""
    rng = np.random.default_rng(seed)
    line = x.shape[2] == 1
    sizes = [(min(k, x.shape[1]), 1) for k in WIDTHS] if line else [(min(3, x.shape[1]), min(3, x.shape[2]))]
    found = []
    for high, wide in sizes:
        patches = np.lib.stride_tricks.sliding_window_view(x, (high, wide), axis=(1, 2))  # (n, h', w', c, high, wide)
        n, h, w = patches.shape[:3]
        weights = rng.normal(size=(x.shape[-1] * high * wide, FILTERS // len(sizes))).astype(np.float32)
        weights /= np.linalg.norm(weights, axis=0)
        answers = np.maximum(patches.reshape(n, h, w, -1) @ weights, 0)  # (n, h', w', filters)
        down, across = (min(REGIONS, h), 1) if line else (min(3, h), min(3, w))
        for rows in np.array_split(np.arange(h), down):
            for columns in np.array_split(np.arange(w), across):
                region = answers[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                found.append(region.mean(axis=(1, 2)))
    return np.concatenate(found, axis=1)
