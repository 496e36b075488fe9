"""From which probability on a row is called positive, where finding and false alarms do not weigh alike."""

from __future__ import annotations

import numpy as np

# How many times as much recall weighs as precision, by the metric that is asked for (van Rijsbergen 1979).
BETA = {"precision": 0.5, "f1": 1.0, "recall": 2.0}
# A goal is to be reached on new rows too: so many standard errors are added.
MARGIN = 1.6


def best_threshold(probability: np.ndarray, truth: np.ndarray, metric_name: str, goal: float | None) -> float:
    """Of the thresholds between the probabilities (n,) of rows whose truth (n,) is known, the best for the metric.

    That is the one with the largest F-beta, for recall not above one half, for precision not below. Where recall or
    precision has a goal, the one with the largest F1 among those that reach it. Recall or precision alone would call every
    row positive, or one.
    """
    if not truth.any() or truth.all():
        return 0.5
    order = np.argsort(-probability, kind="stable")
    value, found = probability[order], np.cumsum(truth[order])
    called = np.arange(1, len(value) + 1)
    last = np.append(value[1:] < value[:-1], True)  # a threshold lies below the last of equals
    value, found, called = value[last], found[last], called[last]
    recall, precision = found / truth.sum(), found / called
    worth = _f(recall, precision, BETA[metric_name])
    if metric_name == "recall":
        worth = np.where(value >= 0.5, 0.0, worth)
    elif metric_name == "precision":
        worth = np.where(value < 0.5, 0.0, worth)
    if goal is not None and metric_name != "f1":
        reached, among = (recall, truth.sum()) if metric_name == "recall" else (precision, called)
        there = reached >= np.minimum(1.0, goal + MARGIN * np.sqrt(goal * (1 - goal) / among))
        if there.any():
            worth = np.where(there, _f(recall, precision, 1.0), -1.0)
    if worth.max() <= 0:
        return 0.5
    at = int(np.argmax(worth))
    below = value[at + 1] if at + 1 < len(value) else 0.0
    return float(np.clip((value[at] + below) / 2, 1e-6, 1 - 1e-6))


def _f(recall: np.ndarray, precision: np.ndarray, beta: float) -> np.ndarray:
    """The weighted harmonic mean of both."""
    return (1 + beta**2) * recall * precision / np.maximum(beta**2 * precision + recall, 1e-12)
