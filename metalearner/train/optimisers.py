"""Optimisers the core brings, each in two forms: for one network, and for many side by side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..kinds import Optimiser

if TYPE_CHECKING:
    import torch

# Adam's memory: short runs have no use for a longer one.
BETAS, EPSILON = (0.9, 0.99), 1e-8
# Momentum of plain descent, and how much larger its learning rate is than Adam's, so that both share one range.
MOMENTUM, SGD_RATE = 0.9, 10.0


class Descent(ABC):
    """Steps the weights of K networks at once, each at its own rate and decay. State is named as torch's optimisers do."""

    remembers: tuple[str, ...] = ()

    def __init__(self, lr: Sequence[float], weight_decay: Sequence[float], parameters: int) -> None:
        import torch

        self.lr, self.weight_decay, self.steps = np.array(lr), np.array(weight_decay), np.zeros(len(lr))
        self.state = {name: torch.zeros(len(lr), parameters) for name in self.remembers}

    @abstractmethod
    def step(self, weights: torch.Tensor, gradient: torch.Tensor, factor: np.ndarray) -> None:
        """Change weights (K, P) in place; `factor` (K,) is each one's share of its full rate."""

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows alone."""
        chosen = rows.numpy()
        self.lr, self.weight_decay, self.steps = self.lr[chosen], self.weight_decay[chosen], self.steps[chosen]
        self.state = {name: t.index_select(0, rows) for name, t in self.state.items()}


class AdamWDescent(Descent):
    """AdamW for K networks."""

    remembers = ("exp_avg", "exp_avg_sq")

    def step(self, weights: torch.Tensor, gradient: torch.Tensor, factor: np.ndarray) -> None:
        """The steps of torch.optim.AdamW, with what is constant within a row worked out beforehand."""
        first, second = self.state.values()
        self.steps += 1
        lr, correction = self.lr * factor, np.sqrt(1 - BETAS[1] ** self.steps)
        first.lerp_(gradient, 1 - BETAS[0])
        second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        size = second.sqrt().add_(_column(EPSILON * correction))
        size.mul_(_column((1 - BETAS[0] ** self.steps) / (lr * correction)))
        weights.mul_(_column(1 - lr * self.weight_decay)).addcdiv_(first, size, value=-1)


class SgdDescent(Descent):
    """Nesterov's momentum for K networks."""

    remembers = ("momentum_buffer",)

    def step(self, weights: torch.Tensor, gradient: torch.Tensor, factor: np.ndarray) -> None:
        """The steps of torch.optim.SGD."""
        (momentum,) = self.state.values()
        self.steps += 1
        gradient = gradient + weights * _column(self.weight_decay / SGD_RATE)
        momentum.mul_(MOMENTUM).add_(gradient)
        weights.sub_(momentum.mul(MOMENTUM).add_(gradient).mul_(_column(SGD_RATE * self.lr * factor)))


def _column(numbers: np.ndarray) -> torch.Tensor:
    """(K,) -> float32 (K, 1)."""
    import torch

    return torch.from_numpy(numbers.astype(np.float32)).unsqueeze(1)


class AdamW(Optimiser):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    name = "adamw"
    descent = AdamWDescent

    def build(self, parameters: Iterable[torch.nn.Parameter], lr: float, weight_decay: float) -> torch.optim.Optimizer:
        """Fused: one pass over the weights."""
        import torch

        return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, betas=BETAS, eps=EPSILON, fused=True)


class Sgd(Optimiser):
    """Gradient descent with Nesterov momentum .9."""

    name = "sgd"
    descent = SgdDescent

    def build(self, parameters: Iterable[torch.nn.Parameter], lr: float, weight_decay: float) -> torch.optim.Optimizer:
        """The learning rate is ten times Adam's, so that both share one range."""
        import torch

        return torch.optim.SGD(parameters, lr=SGD_RATE * lr, momentum=MOMENTUM, nesterov=True,
                               weight_decay=weight_decay / SGD_RATE)  # fmt: skip


def descent(optimiser: Optimiser) -> type[Descent] | None:
    """The form of an optimiser for many networks at once; None where it has none."""
    return getattr(optimiser, "descent", None)


OPTIMISERS = [AdamW(), Sgd()]
