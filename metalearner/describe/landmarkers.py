"""Cheap learners that see positions without their order (Pfahringer, Bensusan and Giraud-Carrier 2000)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensors
from ..kinds import Output, Probe
from ..records import View
from .flat import matrix
from .ridge import Question, neighbour, ridge

FEATURES = 400
MOST = 768  # columns a landmarker takes


class Landmarkers(Probe):
    """Ridge, nearest neighbour, random features; signs against ReLU; half the rows against all."""

    name = "landmarkers"
    explains = {
        "ridge": ("skill", "a linear model"),
        "neighbour": ("skill", "the nearest neighbour"),
        "relu": ("skill", "random ReLU features with ridge"),
        "nonlinear": ("skill", "random ReLU features over a linear model"),
        "sign": ("skill", "random sign features at equal width"),
        "binary_cost": ("skill", "what signs lose against ReLU"),
        "slope": ("skill", "random ReLU features fitted on all rows over half of them"),
    }

    def measure(
        self,
        tensors: Tensors,
        views: Mapping[str, View],
        target: np.ndarray,
        output: Output,
        rng: np.random.Generator,
    ) -> dict[str, float | None]:
        """Skill of each, three-fold: 0 the naive baseline, 1 perfect."""
        x = matrix(tensors, views, MOST, rng)
        if not x.shape[1]:
            return {}
        question = Question.ask(target, rng)
        weights = rng.normal(size=(x.shape[1], FEATURES)).astype(np.float32) / np.sqrt(x.shape[1], dtype=np.float32)
        hidden = x @ weights + rng.normal(size=FEATURES).astype(np.float32)  # (n, FEATURES)
        relu, sign = np.maximum(hidden, 0), np.sign(hidden)
        said = {
            "ridge": ridge(x, question),
            "neighbour": neighbour(x, question),
            "relu": ridge(relu, question),
            "sign": ridge(sign, question),
        }
        found = {name: question.skill(prediction) for name, prediction in said.items()}
        return {
            **found,
            "nonlinear": found["relu"] - found["ridge"],
            "binary_cost": found["relu"] - found["sign"],
            "slope": found["relu"] - question.skill(ridge(relu, question, share=0.5)),
        }
