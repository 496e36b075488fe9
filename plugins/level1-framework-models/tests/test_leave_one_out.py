"""Ridge on leave-one-out scores, against refitting without each row."""

import numpy as np
import pytest
from metalearner_level1_framework_models import leave_one_out

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(60, 12), (25, 80)], ids=["tall", "wide"])
def test_the_penalty_is_the_one_that_refitting_would_choose(shape):
    x = RNG.normal(size=shape)
    x -= x.mean(axis=0)
    y = x[:, :3].sum(axis=1, keepdims=True) + RNG.normal(size=(len(x), 1)) * 2
    found = leave_one_out.fit(x, y, classifies=False)
    errors = []
    grid = leave_one_out.PENALTIES * (x**2).sum() / len(x)
    for penalty in grid:
        left_out = []
        for i in range(len(x)):
            rest = np.arange(len(x)) != i
            centre, mean = x[rest].mean(axis=0), y[rest].mean()
            gram = (x[rest] - centre).T @ (x[rest] - centre) + penalty * np.eye(x.shape[1])
            weight = np.linalg.solve(gram, (x[rest] - centre).T @ (y[rest] - mean))
            left_out.append(((x[i] - centre) @ weight)[0] + mean - y[i, 0])
        errors.append(np.mean(np.square(left_out)))
    assert found.penalty == pytest.approx(grid[int(np.argmin(errors))])
    expected = np.linalg.solve(x.T @ x + found.penalty * np.eye(x.shape[1]), x.T @ (y - y.mean()))
    np.testing.assert_allclose(found.weight, expected, atol=1e-6)


def test_sharpness_makes_probabilities_honest():
    x = RNG.normal(size=(400, 10))
    x -= x.mean(axis=0)
    likely = 1 / (1 + np.exp(-2 * x[:, 0]))
    code = (RNG.random(400) < likely).astype(int)
    found = leave_one_out.fit(x, np.eye(2)[code], classifies=True)
    scores = (x @ found.weight + found.bias) * found.sharpness
    probability = 1 / (1 + np.exp(scores[:, 0] - scores[:, 1]))
    assert np.abs(probability - likely).mean() < 0.08
    assert np.corrcoef(probability, likely)[0, 1] > 0.95


def test_features_that_say_nothing():
    found = leave_one_out.fit(np.zeros((30, 5), np.float32), np.eye(3)[RNG.integers(0, 3, 30)], classifies=True)
    assert np.all(found.weight == 0) and np.isfinite(found.bias * found.sharpness).all()
