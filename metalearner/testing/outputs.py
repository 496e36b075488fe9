"""What is predicted, how it is scored, and what is learnt from it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from ..kinds import Loss, Metric, Output
from ..records import plain


def check_output(output: Output, target: np.ndarray, kind: str) -> None:
    """An output claims its target, encodes it, and keeps its promises on predictions."""
    assert output.claims(target, kind) > 0, f"{output.name} does not claim its own target"
    state = json.loads(json.dumps(plain(output.fit(target))))
    encoded = output.encode(state, target)
    naive = output.baseline(state, encoded, len(target))
    assert naive.shape[0] == len(target), "the baseline has one prediction a row"
    merged = output.merge([naive, naive], [0.5, 0.5])
    assert np.allclose(merged, naive), "merging equal predictions changes them"
    raw = np.random.default_rng(0).normal(size=(len(target), output.width(state)))
    prediction = output.activate(state, raw)
    calibration = output.calibrate(state, prediction, encoded)
    assert output.calibrated(calibration, prediction).shape == prediction.shape, "calibration changes the shape"
    conformal = json.loads(json.dumps(plain(output.conform(state, prediction, encoded, 0.9))))
    assert len(output.regions(conformal, state, prediction)) == len(target), "one region a row"
    covered = output.covers(conformal, state, prediction, encoded)
    if covered is not None:
        assert covered.shape == (len(target),) and covered.dtype == bool, "a row's target is covered or it is not"
        assert covered.mean() >= 0.9, "regions cover fewer than promised of the very rows that they were fitted on"
    table = output.table(state, prediction)
    assert "prediction" in table and all(len(c) == len(target) for c in table.values()), "one prediction a row"
    assert len(output.strata(encoded)) == len(target), "one stratum a row"


def check_metric(metric: Metric, target: np.ndarray, naive: np.ndarray, state: Mapping[str, object]) -> None:
    """A metric gives a number, and skill 0 to the baseline and 1 to perfection."""
    value = metric.score(target, naive, dict(state))
    assert np.isfinite(value), f"{metric.name} of the baseline is {value}"
    if metric.perfect != value:
        assert abs(metric.skill(value, value)) < 1e-9, "the baseline's skill is 0"
        assert abs(metric.skill(metric.perfect, value) - 1) < 1e-9, "perfection's skill is 1"


def check_loss(loss: Loss, width: int, target: np.ndarray) -> None:
    """A loss is finite, one a row, and has a gradient."""
    import torch

    raw = torch.randn(len(target), width, requires_grad=True)
    found = loss(raw, torch.as_tensor(target))
    assert found.shape == (len(target),), f"{loss.name} gives {tuple(found.shape)} for {len(target)} rows"
    found.mean().backward()
    assert raw.grad is not None and torch.isfinite(raw.grad).all(), f"{loss.name} has no finite gradient"
