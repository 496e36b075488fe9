"""Optimisers the core brings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..kinds import Optimiser

if TYPE_CHECKING:
    import torch


class AdamW(Optimiser):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    name = "adamw"

    def build(self, parameters: Iterable[torch.nn.Parameter], lr: float, weight_decay: float) -> torch.optim.Optimizer:
        """Betas .9 and .99: short runs have no use for a longer memory."""
        import torch

        return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, betas=(0.9, 0.99))


class Sgd(Optimiser):
    """Gradient descent with Nesterov momentum .9."""

    name = "sgd"

    def build(self, parameters: Iterable[torch.nn.Parameter], lr: float, weight_decay: float) -> torch.optim.Optimizer:
        """The learning rate is ten times Adam's, so that both share one range."""
        import torch

        return torch.optim.SGD(parameters, lr=10 * lr, momentum=0.9, nesterov=True, weight_decay=weight_decay / 10)


OPTIMISERS = [AdamW(), Sgd()]
