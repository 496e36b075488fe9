"""Which candidate is next: the plainest, or the one that gains most for its cost."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np


class Choice(ABC):
    """Chooses one candidate after the other; those that are closed are out of the question."""

    @abstractmethod
    def best(self, closed: np.ndarray) -> int:
        """The next of the candidates (c,) that are not closed; at least one is not."""

    def take(self, chosen: int) -> None:
        """It is going to be tried."""


class InOrder(Choice):
    """As they lie."""

    def best(self, closed: np.ndarray) -> int:
        """The first."""
        return int(np.argmin(closed))


class ByGain(Choice):
    """Largest gain per cost on the neighbours; where none gains, the lowest regret for its cost; at last the plainest."""

    def __init__(
        self,
        regrets: np.ndarray,
        weights: np.ndarray,
        left: np.ndarray,
        cost: np.ndarray,
        correction: float | np.ndarray = 0.0,
    ) -> None:
        """`regrets` (c, t) on past data sets of `weights` (t,) on which `left` (t,) is the regret reached; `cost` (c,).

        `correction` (c,) is what a ranker knows better of the gains.
        """
        self.regrets, self.weights, self.left, self.cost, self.correction = regrets, weights, left, cost, correction
        self.plain = (regrets @ weights * cost).round(9)

    def best(self, closed: np.ndarray) -> int:
        """Ties are decided by the order in which they lie."""
        gain = np.maximum(0.0, self.left - self.regrets) @ self.weights
        gain = np.maximum(0.0, gain + self.correction) / self.cost
        return int(np.lexsort([self.plain, -gain.round(9), closed])[0])

    def take(self, chosen: int) -> None:
        """What it reaches need not be reached again."""
        self.left = np.minimum(self.left, self.regrets[chosen])
