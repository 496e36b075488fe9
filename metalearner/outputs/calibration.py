"""Predictions made honest on rows that did not fit them: class probabilities by one temperature or isotonic curves.

A calibration is kept where it lowers the loss of rows that the calibration itself was not fitted on; one of many numbers
(isotonic) only where it does so by more than noise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..kinds import State

# Parts of the cross-fit.
PARTS = 5
# The logarithm of a temperature is believed to lie this close to 0: a few dozen rows without a mistake are no proof of
# perfect confidence.
SPREAD = 0.3
# Where probabilities are cut before a logarithm.
FLOOR = 1e-12

Fit = Callable[[np.ndarray, np.ndarray], State]  # prediction, target -> calibration


def choose_calibration(prediction: np.ndarray, target: np.ndarray) -> State:
    """The calibration of probabilities (n, K) whose truth is codes (n,), with the held-out log losses that decided."""

    def loss(calibration: State, said: np.ndarray, truth: np.ndarray) -> np.ndarray:
        return _log_losses(apply_calibration(calibration, said), truth)

    losses = {name: held_out(fit, loss, prediction, target) for name, (fit, _) in METHODS.items()}
    chosen = "none"
    for name, (_, errors) in METHODS.items():
        if better(losses[name], losses[chosen], errors):
            chosen = name
    means = {name: round(float(found.mean()), 6) for name, found in losses.items()}
    return {**METHODS[chosen][0](prediction, target), "log_loss": means}


def held_out(
    fit: Fit, loss: Callable[[State, np.ndarray, np.ndarray], np.ndarray], prediction: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """Loss of each row (n,) under a calibration fitted on the other parts."""
    part = np.random.default_rng(0).permutation(len(target)) % PARTS
    found = np.zeros(len(target))
    for p in range(PARTS):
        inside, outside = part != p, part == p
        if inside.any() and outside.any():
            found[outside] = loss(fit(prediction[inside], target[inside]), prediction[outside], target[outside])
    return found


def better(losses: np.ndarray, than: np.ndarray, errors: float) -> bool:
    """Whether paired losses (n,) are lower by more than so many standard errors of their mean difference."""
    gain = than - losses
    return bool(gain.mean() > errors * gain.std() / np.sqrt(max(1, len(gain))) + 1e-9)


def apply_calibration(calibration: State, prediction: np.ndarray) -> np.ndarray:
    """Calibrated probabilities (n, K); rows sum to 1."""
    if calibration.get("curves"):
        columns = [np.interp(prediction[:, k], c["x"], c["y"]) for k, c in enumerate(calibration["curves"])]
        found = np.stack(columns, axis=1)
        return found / found.sum(axis=1, keepdims=True)
    if calibration["temperature"] == 1.0:
        return prediction
    return softmax(np.log(np.clip(prediction, FLOOR, 1)) / calibration["temperature"])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last of (n, K)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True)) if len(logits) else logits
    return shifted / shifted.sum(axis=1, keepdims=True)


def _none(prediction: np.ndarray, target: np.ndarray) -> State:
    return {"method": "none", "temperature": 1.0}


def _temperature(prediction: np.ndarray, target: np.ndarray) -> State:
    """One temperature by log loss (Guo et al. 2017) and a prior around 1."""
    from scipy.optimize import minimize_scalar

    logits = np.log(np.clip(prediction, FLOOR, 1))

    def cost(log_temperature: float) -> float:
        likelihood = _log_losses(softmax(logits / np.exp(log_temperature)), target).sum()
        return float(likelihood + log_temperature**2 / (2 * SPREAD**2))

    best = minimize_scalar(cost, bounds=(-2.5, 2.5), method="bounded")
    return {"method": "temperature", "temperature": float(np.exp(best.x))}


def _isotonic(prediction: np.ndarray, target: np.ndarray) -> State:
    """A rising curve a class, one against the rest (Zadrozny and Elkan 2002), kept off 0 and 1 as by one more row of each."""
    curves = [_curve(prediction[:, k], target == k) for k in range(prediction.shape[1])]
    return {"method": "isotonic", "temperature": 1.0, "curves": curves}


def _curve(said: np.ndarray, truth: np.ndarray) -> dict[str, list[float]]:
    """The corners of the isotonic fit of truth by said probability, x and y both rising."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(said, kind="stable")
    fitted = isotonic_regression(truth[order].astype(float))
    begins, ends = fitted.blocks[:-1], fitted.blocks[1:] - 1
    least = 1 / (len(said) + 2)
    y = np.clip(fitted.x[begins], least, 1 - least)
    x = said[order]
    return {"x": np.stack([x[begins], x[ends]], 1).ravel().tolist(), "y": np.repeat(y, 2).tolist()}


# What is tried, the simplest first, and by how many standard errors it must win.
METHODS: dict[str, tuple[Fit, float]] = {
    "none": (_none, 0.0),
    "temperature": (_temperature, 0.0),
    "isotonic": (_isotonic, 1.0),
}


def _log_losses(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    return -np.log(np.clip(prediction[np.arange(len(target)), target], FLOOR, 1))
