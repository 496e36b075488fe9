"""Ridge regression whose penalty, and temperature for classes, are chosen on leave-one-out scores in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metalearner.foldwise import softmax

# Penalties tried, as shares of the mean squared length of a row.
PENALTIES = np.logspace(-6, 1, 15)
TEMPERATURES = np.logspace(-1.5, 1.5, 16)  # and finer around the best
LOOKED_AT = 5000  # rows that penalty and temperature are chosen on


@dataclass(frozen=True)
class Ridge:
    """weight (p, k) and bias (k,), the penalty chosen, and what sharpens scores into probabilities (1 for numbers)."""

    weight: np.ndarray
    bias: np.ndarray
    penalty: float
    sharpness: float


def fit(x: np.ndarray, y: np.ndarray, classifies: bool) -> Ridge:
    """Ridge of y (n, k) on centred x (n, p); y is one column a class, 0 or 1, or the one number.

    The residual a row would have had without it in the training set is its residual over one minus its
    leverage, so that one decomposition serves all penalties.
    """
    mean = y.mean(axis=0)
    basis, values = _decompose(x)
    centred = (y - mean).astype(basis.dtype)
    inner = basis.T @ centred
    some = np.random.default_rng(0).permutation(len(x))[:LOOKED_AT]  # a fixed draw: the choice must not wander
    squared = basis[some] ** 2
    best = (np.inf, 0.0, 1.0)
    for penalty in PENALTIES * values.sum() / len(x):
        shrink = values / (values + penalty)
        leverage = np.minimum(squared @ shrink + 1 / len(x), 1 - 1e-9)
        residual = (centred[some] - basis[some] @ (shrink[:, None] * inner)) / (1 - leverage)[:, None]
        scores = y[some] - residual
        loss, sharpness = _sharpen(scores, y[some]) if classifies else (float(np.mean(residual**2)), 1.0)
        best = min(best, (loss, float(penalty), sharpness))
    _, penalty, sharpness = best
    weight = x.T @ (basis @ (inner / (values + penalty)[:, None])).astype(x.dtype)
    return Ridge(weight.astype(np.float64), mean, penalty, sharpness)


def _decompose(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left singular vectors (n, r) and squared singular values (r,) of x, by the smaller of its two products."""
    n, p = x.shape
    if n <= p:
        values, vectors = np.linalg.eigh((x @ x.T).astype(np.float64))
        real = values > max(values[-1], 1e-9) * 1e-7
        return vectors[:, real], values[real]
    values, vectors = np.linalg.eigh((x.T @ x).astype(np.float64))
    real = values > max(values[-1], 1e-9) * 1e-7
    return x @ (vectors[:, real] / np.sqrt(values[real])).astype(x.dtype), values[real]


def _sharpen(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """The least log loss over a grid of factors on the scores, and that factor.

    A little of the truth is spread over all classes, as if each had been seen once more: rows that are
    all told apart would ask for certainty otherwise.
    """
    spread = truth.shape[1] / (len(truth) + truth.shape[1])
    soft = (1 - spread) * truth + spread / truth.shape[1]
    unit = np.sqrt(truth.shape[1]) / max(float(scores.std()), 1e-9)
    found = min((_log_loss(scores * factor * unit, soft), float(factor)) for factor in TEMPERATURES)
    finer = found[1] * np.logspace(-0.15, 0.15, 7)
    loss, factor = min((_log_loss(scores * factor * unit, soft), float(factor)) for factor in finer)
    return loss, factor * unit


def _log_loss(scores: np.ndarray, soft: np.ndarray) -> float:
    return float(-np.mean(np.sum(soft * np.log(softmax(scores) + 1e-12), axis=1)))
