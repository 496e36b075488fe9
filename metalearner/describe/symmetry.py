"""Does it matter where along an axis something is, or in which order the elements come?

Learners that cannot know, beside learners that can: as good without knowing is as good as knowing that it means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensors
from ..kinds import Output, Probe
from ..records import View
from .filters import features, grid, shrink
from .flat import standardised, values
from .locality import squashed
from .ridge import Question, ridge

ORDERED = ("time", "space")
ELEMENTS = ("time", "tokens", "set", "columns")
LEAST = 6  # positions an axis must have
MOST = 96  # elements and
CHANNELS = 8  # channels of each that are looked at
FEATURES = 324  # of the perceptrons that are averaged over elements
SEED = 0


class Symmetry(Probe):
    """Local features pooled everywhere against pooled in regions; elements averaged against elements in their places."""

    name = "symmetry"
    explains = {
        "everywhere": ("skill", "random local features, averaged over the whole axes"),
        "everywhere_gain": ("skill", "that over averages of regions, of as many features: place means nothing"),
        "everywhere_gain_z": ("log1p(sd)", "that gain in standard errors over rows"),
        "unordered": ("skill", "random features of each element, averaged over all"),
        "unordered_gain": ("skill", "that over random features of all elements in their places: order means nothing"),
        "unordered_gain_z": ("log1p(sd)", "that gain in standard errors over rows"),
        "mirrored": (
            "skill",
            "local features of pictures, told of pictures that were mirrored, over the same of the pictures",
        ),
    }

    def measure(
        self,
        tensors: Tensors,
        views: Mapping[str, View],
        target: np.ndarray,
        output: Output,
        rng: np.random.Generator,
    ) -> dict[str, float | None]:
        """Three-fold skills of the first view that has such an axis."""
        question = Question.ask(target, rng)
        found: dict[str, float | None] = {}
        for name, view in views.items():
            x = values(tensors[name])
            axes = [i for i, a in enumerate(view.axes) if a.kind in ORDERED and a.size >= LEAST][:2]
            if axes and "everywhere" not in found:
                small = shrink(grid(x, axes), rng)
                regions, whole = (ridge(features(small, SEED, r), question) for r in (True, False))
                found |= _compared("everywhere", whole, regions, question)
                if len(axes) == 2:
                    found["mirrored"] = _mirrored(small, question)
            element = next((i for i, a in enumerate(view.axes) if a.kind in ELEMENTS and a.size >= LEAST), None)
            if element is not None and "unordered" not in found:
                found |= _compared("unordered", *_elements(x, element, question, rng), question)
        return found


def _compared(name: str, free: np.ndarray, bound: np.ndarray, question: Question) -> dict[str, float | None]:
    """Skill of predictions that do not know a place, what they gain on those that do, and the log1p z of that over rows."""
    gained = question.loss(bound) - question.loss(free)
    z = float(gained.mean() / (gained.std() / np.sqrt(len(gained)) + 1e-6))
    skill = question.skill(free)
    return {name: skill, f"{name}_gain": skill - question.skill(bound), f"{name}_gain_z": squashed(z)}


def _elements(x: np.ndarray, axis: int, question: Question, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Predictions from features averaged over the elements of an axis, and from as many of all elements in their places."""
    x = np.moveaxis(x, axis + 1, 1)[:, :MOST]
    n, elements = len(x), int(x.shape[1])
    lines = standardised(x.reshape(n * elements, -1))
    if lines.shape[1] > CHANNELS:
        lines = lines @ (rng.normal(size=(lines.shape[1], CHANNELS)) / np.sqrt(lines.shape[1])).astype(np.float32)
    channels = lines.shape[1]
    x = lines.reshape(n, elements, channels)
    weights = rng.normal(size=(channels, FEATURES)).astype(np.float32) / np.sqrt(channels, dtype=np.float32)
    shifts = rng.normal(size=FEATURES).astype(np.float32)
    step = max(1, int(2e7 / (elements * FEATURES)))
    free = [np.maximum(x[i : i + step] @ weights + shifts, 0).mean(axis=1) for i in range(0, n, step)]
    flat = x.reshape(n, -1)
    mixed = rng.normal(size=(flat.shape[1], FEATURES)).astype(np.float32) / np.sqrt(flat.shape[1], dtype=np.float32)
    bound = np.maximum(flat @ mixed + shifts, 0)
    return ridge(np.concatenate(free), question), ridge(bound, question)


def _mirrored(x: np.ndarray, question: Question) -> float:
    """What skill is left on pictures (n, h, w, c) turned left to right, of a learner that saw none: 0 says as much as before."""
    plain, turned = features(x, SEED), features(x[:, :, ::-1], SEED)
    return question.skill(ridge(plain, question, other=turned)) - question.skill(ridge(plain, question))
