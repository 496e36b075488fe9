"""Tables laid out as pictures for a learner of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from metalearner_level1_framework_models.laid_out import LaidOut, LaidOutLearner, pictured
from scipy.ndimage import gaussian_filter

from metalearner import grammar
from metalearner.arrays import Fold, Tensor
from metalearner.kinds import Aim, Rung
from metalearner.outputs import METRICS, OUTPUTS
from metalearner.plugins import load
from metalearner.records import Axis, Config, View
from metalearner.testing import check_learner

SIDE = 12


class Strokes:
    """Smooth fields of 12 x 12 cells as columns, in their order or in any; the class is a stroke, wherever it is."""

    def __init__(self, shuffled, rows=800):
        rng = np.random.default_rng(0)
        self.target = np.arange(rows) % 3
        x = gaussian_filter(rng.normal(size=(rows, SIDE, SIDE)), (0, 1, 1)) * 3
        strokes = np.array([np.eye(4), np.fliplr(np.eye(4)), np.ones((4, 4)) / 4])
        for row, label in zip(x, self.target):
            down, right = rng.integers(0, SIDE - 4, 2)
            row[down : down + 4, right : right + 4] += 2 * strokes[label]
        x = x.reshape(rows, -1)[:, rng.permutation(SIDE**2) if shuffled else np.arange(SIDE**2)]
        x[rng.random(x.shape) < 0.01] = np.nan
        self.values = x.astype(np.float32)[:, :, None]
        self.folds = [(np.arange(200, rows), np.arange(200))]
        self.views = {"table": View((Axis("columns", SIDE**2),), 1)}

    def fold(self, index, transform):
        train, valid = self.folds[index]
        tensors = [{"table": Tensor(self.values[rows])} for rows in (train, valid)]
        return Fold(index, self.views, tensors[0], self.target[train], tensors[1], self.target[valid])


def config(**numbers):
    return Config("laid-out", numbers, {"learner": (Config("random-conv", {"features": 500}),)})


@pytest.fixture(scope="module")
def aim():
    output = next(o for o in OUTPUTS if o.name == "classification")
    metric = next(m for m in METRICS if m.name == "accuracy")
    return Aim(output, output.fit(np.arange(3)), metric, load())


def accuracy(data, aim, **numbers):
    fold = data.fold(0, None)
    (fitted,) = LaidOutLearner().fit([config(**numbers)], [fold], aim, Rung(seed=0), [None])
    return (fitted.models[0].predict(fold.valid).argmax(1) == fold.valid_target).mean()


@pytest.mark.parametrize("shuffled, numbers", [(False, {"row": SIDE}), (True, {"recovered": True})])
def test_it_keeps_what_learners_promise(aim, shuffled, numbers):
    assert not grammar.check(config(**numbers), aim.registry.productions)
    check_learner(LaidOutLearner(), config(**numbers), Strokes(shuffled), None, aim)


def test_a_picture_is_worth_more_the_way_it_was(aim):
    astray = accuracy(Strokes(True), aim, row=SIDE)
    assert accuracy(Strokes(False), aim, row=SIDE) > astray + 0.5
    assert accuracy(Strokes(True), aim, recovered=True) > astray + 0.3


def test_what_can_be_laid_out():
    assert pictured({"table": View((Axis("columns", 30),), 1)})
    refused = [View((Axis("columns", 4),), 1), View((Axis("columns", 64),), 1, (3,)), View((Axis("time", 64),), 1)]
    assert not any(pictured({"table": view}) for view in refused)
    assert not pictured({}) and LaidOut().parts["learner"].symbol == "learner"


@pytest.mark.parametrize("numbers", [{"row": 9}, {"recovered": True}])
def test_columns_that_fill_no_rectangle(aim, numbers):
    data = Strokes(False)
    data.values, data.views = data.values[:, :140], {"table": View((Axis("columns", 140),), 1)}
    assert accuracy(data, aim, **numbers) > 0.4
