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
    """Mean skill in the task's metric and in the finer one, against the naive baseline on the same rows."""

    def __init__(self, aim: Aim, target: np.ndarray, naive: np.ndarray) -> None:
        """`target` (n,) as the output encodes it, `naive` the baseline's prediction (n, k)."""
        self.aim, self.target, self.naive = aim, target, naive
        finer = aim.registry.metrics.get(aim.output.finer)
        self.metrics = [aim.metric, *([finer] if finer is not None and finer.name != aim.metric.name else [])]

    def __call__(self, prediction: np.ndarray, rows: np.ndarray | slice = slice(None)) -> float:
        """Of the prediction (m, k) of these rows: 1 perfect, 0 the baseline, -inf where it cannot be told."""
        state, target, naive = self.aim.state, self.target[rows], self.naive[rows]
        scores = [self.aim.score(prediction, target), *(m.score(target, prediction, state) for m in self.metrics[1:])]
        skills = [m.skill(s, m.score(target, naive, state)) for m, s in zip(self.metrics, scores)]
        return float(np.mean(np.maximum(skills, WORST))) if np.all(np.isfinite(skills)) else -np.inf
