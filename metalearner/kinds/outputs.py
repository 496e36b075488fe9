"""What is predicted, and how it is scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pictures import Picture

if TYPE_CHECKING:
    import torch

State = dict[str, Any]  # fitted, JSON-able
# Share of the rows, beyond doubt, whose target is denied, from which on it is said.
FEWEST_DENIED = 0.01


@dataclass(frozen=True)
class Denied:
    """Rows whose given target the models, which never saw them, deny outright."""

    rows: np.ndarray  # their places, the surest first
    among: int  # rows that could have been denied so
    share: float  # of all that is wrong, what goes back to such rows

    @property
    def least(self) -> float:
        """Lower end of the 95 % interval of their share (Clopper and Pearson 1934)."""
        from scipy.stats import beta

        return float(beta.ppf(0.025, len(self.rows), self.among - len(self.rows) + 1)) if len(self.rows) else 0.0

    @property
    def many(self) -> bool:
        """Whether they are more than a few, beyond doubt."""
        return self.least >= FEWEST_DENIED


class Output(ABC):
    """What differs by task. A prediction is an array (n, k) whose meaning only its Output knows."""

    name: str
    metrics: tuple[str, ...]  # that make sense for it, default first
    losses: tuple[str, ...]  # gradient losses, default first
    finer: str = ""  # a metric that still tells predictions apart where the default one is equal

    @abstractmethod
    def claims(self, target: np.ndarray, kind: str) -> float:
        """How well this raw target column (n,) of column kind `kind` fits: 0 no, 1 surely."""

    @abstractmethod
    def fit(self, target: np.ndarray) -> State:
        """Learn the classes or the scale from the raw training target."""

    def suit(self, state: State, metric_name: str) -> State:
        """The state as the metric wants it: how a prediction becomes a decision."""
        return state

    def decide(
        self, state: State, metric_name: str, goal: float | None, prediction: np.ndarray, target: np.ndarray
    ) -> State:
        """The state with the decision that serves the metric, and its goal, on predictions of rows not learnt from."""
        return state

    @abstractmethod
    def encode(self, state: State, target: np.ndarray) -> np.ndarray:
        """Raw target (n,) to what metrics and losses take; -1 or NaN for what was never seen."""

    @abstractmethod
    def width(self, state: State) -> int:
        """Raw numbers a network's head gives per row."""

    @abstractmethod
    def activate(self, state: State, raw: np.ndarray) -> np.ndarray:
        """Head output (n, width) to prediction (n, k): probabilities, or the standardised value."""

    def graph(self, state: State, raw: torch.Tensor) -> torch.Tensor:
        """`activate` in torch, for export; raw is (..., width)."""
        return raw

    @abstractmethod
    def baseline(self, state: State, target: np.ndarray, rows: int) -> np.ndarray:
        """The naive prediction for `rows` rows, knowing only the encoded training target."""

    @abstractmethod
    def merge(self, predictions: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
        """The weighted average of several predictions (weights sum to 1)."""

    @abstractmethod
    def strata(self, target: np.ndarray) -> np.ndarray:
        """Small integers (n,) by which folds are balanced."""

    @abstractmethod
    def calibrate(self, state: State, prediction: np.ndarray, target: np.ndarray) -> State:
        """Fit a calibration on out-of-fold predictions."""

    @abstractmethod
    def calibrated(self, calibration: State, prediction: np.ndarray) -> np.ndarray:
        """Apply it."""

    @abstractmethod
    def conform(self, state: State, prediction: np.ndarray, target: np.ndarray, level: float) -> State:
        """Conformal scores from rows the prediction was not fitted on; covers `level` of new rows."""

    @abstractmethod
    def regions(self, conformal: State, state: State, prediction: np.ndarray) -> list[Any]:
        """For each row the JSON of its conformal set or interval, in the target's own words and units."""

    def covers(self, conformal: State, state: State, prediction: np.ndarray, target: np.ndarray) -> np.ndarray | None:
        """Whether each row's region holds its encoded target (n,) bool; None for an Output that cannot tell."""
        return None

    @abstractmethod
    def table(self, state: State, prediction: np.ndarray) -> dict[str, np.ndarray]:
        """Columns for people: `prediction`, and for classes `p_<class>`."""

    def pictures(self, state: State, target: np.ndarray, prediction: np.ndarray) -> list[Picture]:
        """What right and wrong predictions look like, for people; target encoded, its truth known."""
        return []

    def words(self, state: State, target: np.ndarray) -> list[str]:
        """Encoded targets (n,) as people read them."""
        return [str(t) for t in target]

    def errors(self, state: State, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """How wrong each row is (n,), 0 where it is right: the worst are shown to people."""
        return np.zeros(len(target))

    def denied(self, state: State, target: np.ndarray, prediction: np.ndarray) -> Denied | None:
        """Of rows not learnt from, those whose target may well be wrong; None for an Output that cannot tell."""
        return None

    def problem(self, state: State, rows: int) -> str:
        """Why this target cannot be learnt from so many rows; empty when it can."""
        return ""

    def choose_metric(self, target: np.ndarray, state: State, sentence: str) -> tuple[str, str]:
        """Metric and the reason for it, from the encoded target and the user's words."""
        return self.metrics[0], f"the default for {self.name}"

    def choose_loss(self, state: State, metric_name: str, target: np.ndarray) -> tuple[str, str]:
        """Loss and the reason for it, from the metric it should serve and the encoded training target."""
        return self.losses[0], f"the default for {self.name}"


class Metric(ABC):
    """A score for an encoded target and a prediction."""

    name: str
    greater_is_better: bool = True
    perfect: float = 1.0
    words: tuple[str, ...] = ()  # what a user may call it

    @abstractmethod
    def score(self, target: np.ndarray, prediction: np.ndarray, state: State) -> float:
        """The value, in the metric's unit. NaN when it is undefined on these rows."""

    def skill(self, value: float, baseline: float) -> float:
        """The value between the naive baseline (0) and perfect (1); below 0 is worse than naive."""
        span = self.perfect - baseline
        return float((value - baseline) / span) if abs(span) > 1e-12 else 0.0
