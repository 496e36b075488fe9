"""Scores, each with its direction, its perfect value and the words people use for it."""

from __future__ import annotations

import numpy as np

from ..kinds import Metric, State
from .classification import decided, positive


class Accuracy(Metric):
    """Share of rows whose class is the one decided on."""

    name = "accuracy"
    words = ("accuracy", "accurate", "percent correct", "share correct")

    def score(self, target: np.ndarray, prediction: np.ndarray, state: State) -> float:
        """0..1."""
        return float(np.mean(decided(state, prediction) == target))


class BalancedAccuracy(Metric):
    """Accuracy within each class, averaged over the classes present."""

    name = "balanced-accuracy"
    words = ("balanced accuracy",)

    def score(self, target: np.ndarray, prediction: np.ndarray, state: State) -> float:
        """0..1."""
        hit = decided(state, prediction) == target
        return float(np.mean([hit[target == c].mean() for c in np.unique(target)]))


class LogLoss(Metric):
    """Mean negative log probability of the true class, in nats."""

    name = "log-loss"
    greater_is_better = False
    perfect = 0.0
    words = ("log loss", "cross entropy", "likelihood")

    def score(self, target: np.ndarray, prediction: np.ndarray, state: State) -> float:
        """0 upwards; a class never seen in training costs its whole -log(1e-12)."""
        p = np.where(target >= 0, prediction[np.arange(len(target)), np.maximum(target, 0)], 0.0)
        return float(-np.mean(np.log(np.clip(p, 1e-12, 1))))


class Auc(Metric):
    """Area under the ROC curve; one against the rest, averaged, for several classes."""

    name = "auc"
    words = ("auc", "roc", "area under")

    def score(self, target: np.ndarray, prediction: np.ndarray, state: State) -> float:
        """0..1; NaN when only one class is present."""
        present = [c for c in np.unique(target) if c >= 0 and np.any(target != c)]
        if len(state["classes"]) == 2:
            present = [c for c in present if c == 1]
        return float(np.mean([_auc(target == c, prediction[:, c]) for c in present])) if present else float("nan")


class F1(Metric):
    """Harmonic mean of precision and recall; of the positive class if there are two, averaged otherwise."""

    name = "f1"
    words = ("f1", "f-score", "f score")

    def score(self, target: np.ndarray, prediction: np.ndarray, state: State) -> float:
        """0..1."""
        return float(np.mean([_f1(target == c, decided(state, prediction) == c) for c in _asked(target, state)]))


class Recall(Metric):
    """Share of the positive class that is found; averaged over classes if there are more than two."""

    name = "recall"
    words = ("recall", "sensitivity", "found", "hit rate")

    def score(self, target: np.ndarray, prediction: np.ndarray, state: State) -> float:
        """0..1; NaN without positive rows."""
        said = decided(state, prediction)
        shares = [np.mean(said[target == c] == c) for c in _asked(target, state) if np.any(target == c)]
        return float(np.mean(shares)) if shares else float("nan")


class Precision(Metric):
    """Share of the rows called positive that are; averaged over classes if there are more than two."""

    name = "precision"
    words = ("precision", "false alarm rate")

    def score(self, target: np.ndarray, prediction: np.ndarray, state: State) -> float:
        """0..1; 0 when nothing is called positive."""
        said = decided(state, prediction)
        return float(
            np.mean([np.mean(target[said == c] == c) if np.any(said == c) else 0.0 for c in _asked(target, state)])
        )


class R2(Metric):
    """Share of the variance explained."""

    name = "r2"
    words = ("r2", "r squared", "variance explained")

    def score(self, target: np.ndarray, prediction: np.ndarray, state: State) -> float:
        """At most 1; 0 is the mean of these rows."""
        spread = np.mean((target - target.mean()) ** 2)
        return float(1 - np.mean((target - prediction[:, 0]) ** 2) / spread) if spread > 0 else float("nan")


class Rmse(Metric):
    """Root mean squared error, in the target's unit."""

    name = "rmse"
    greater_is_better = False
    perfect = 0.0
    words = ("rmse", "root mean squared", "squared error")

    def score(self, target: np.ndarray, prediction: np.ndarray, state: State) -> float:
        """0 upwards."""
        return float(np.sqrt(np.mean((target - prediction[:, 0]) ** 2)) * state["scale"])


class Mae(Metric):
    """Mean absolute error, in the target's unit."""

    name = "mae"
    greater_is_better = False
    perfect = 0.0
    words = ("mae", "mean absolute", "absolute error")

    def score(self, target: np.ndarray, prediction: np.ndarray, state: State) -> float:
        """0 upwards."""
        return float(np.mean(np.abs(target - prediction[:, 0])) * state["scale"])


METRICS = [Accuracy(), BalancedAccuracy(), LogLoss(), Auc(), F1(), Recall(), Precision(), R2(), Rmse(), Mae()]


def _asked(target: np.ndarray, state: State) -> list[int]:
    """The positive class of two; every class present of more."""
    if len(state["classes"]) == 2:
        return [state["classes"].index(positive(state))]
    return [int(c) for c in np.unique(target) if c >= 0]


def _f1(truth: np.ndarray, said: np.ndarray) -> float:
    both = float(np.sum(truth & said))
    return 2 * both / float(truth.sum() + said.sum()) if both else 0.0


def _auc(truth: np.ndarray, score: np.ndarray) -> float:
    from scipy.stats import rankdata

    yes = int(truth.sum())
    no = len(truth) - yes
    return float((rankdata(score)[truth].sum() - yes * (yes + 1) / 2) / (yes * no)) if yes and no else float("nan")
