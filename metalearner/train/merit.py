"""How good a prediction is, told finely enough to choose by.

Accuracy moves in steps of one row: among configs fitted on few rows it mostly says which was lucky. What the output calls
its finer metric (log-loss for classes) tells them apart, so both count alike.
"""

from __future__ import annotations

import numpy as np

from ..kinds import Aim

# No part counts as worse than this: a few certain mistakes would else outweigh everything.
WORST = -1.0


class Merit:
    """Mean skill in the task's metric and in the finer one, against the naive baseline on all the rows it was made for."""

    def __init__(self, aim: Aim, target: np.ndarray, naive: np.ndarray) -> None:
        """`target` (n,) as the output encodes it, `naive` the baseline's prediction (n, k)."""
        self.aim, self.target = aim, target
        finer = aim.registry.metrics.get(aim.output.finer)
        self.metrics = [aim.metric, *([finer] if finer is not None and finer.name != aim.metric.name else [])]
        self.floors = [m.score(target, naive, aim.state) for m in self.metrics]

    def __call__(self, prediction: np.ndarray, rows: np.ndarray | slice = slice(None)) -> float:
        """Of the prediction (m, k) of these rows: 1 perfect, 0 the baseline, -inf where it cannot be told."""
        state, target = self.aim.state, self.target[rows]
        scores = [self.aim.score(prediction, target), *(m.score(target, prediction, state) for m in self.metrics[1:])]
        skills = [m.skill(score, floor) for m, score, floor in zip(self.metrics, scores, self.floors)]
        return float(np.mean(np.maximum(skills, WORST))) if np.all(np.isfinite(skills)) else -np.inf
