"""What calibration and decision make of rows that had no say in them: those of each part are fitted on the others."""

from __future__ import annotations

import numpy as np

from ..kinds import Aim, State
from ..records import Task

# Parts; rows among which nobody sees any more what was fitted to them: a threshold for F1 that 100 rows chose scores .065 more on
# these than on others, one that 1,000 chose .016.
PARTS, MANY = 5, 10_000

Drawn = list[tuple[np.ndarray, State]]  # rows of each part, and the state with the decision that is drawn for them


def crossfit(prediction: np.ndarray, target: np.ndarray, task: Task, aim: Aim) -> tuple[np.ndarray, Drawn]:
    """Predictions (n, k) of rows not learnt from, calibrated; and by what state each is decided."""
    output = aim.output
    part = np.random.default_rng(0).permutation(len(target)) % (PARTS if len(target) <= MANY else 1)
    said, drawn = np.array(prediction, float), []
    for p in np.unique(part):
        rows = np.flatnonzero(part == p)
        others = np.setdiff1d(np.arange(len(target)), rows) if part.any() else rows
        calibration = output.calibrate(aim.state, prediction[others], target[others])
        told = output.calibrated(calibration, prediction[others])
        said[rows] = output.calibrated(calibration, prediction[rows])
        drawn.append((rows, output.decide(aim.state, task.metric, task.goal, told, target[others])))
    return said, drawn
