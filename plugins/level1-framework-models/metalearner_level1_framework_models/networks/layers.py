"""Small layers that several architectures share."""

from __future__ import annotations

import torch
from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "selu": nn.SELU, "mish": nn.Mish}


class BatchNorm(nn.BatchNorm1d):
    """Batch norm over (B, F) that uses its running statistics when a training batch has a single row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, F) -> (B, F)."""
        if self.training and x.shape[0] == 1:
            return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False)
        return super().forward(x)


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016, arXiv 1603.09382): in training a row skips the branch with this chance."""

    def __init__(self, chance: float) -> None:
        super().__init__()
        self.chance = chance

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, ...) -> (B, ...), rescaled so that the expectation stays."""
        if not self.training or self.chance <= 0:
            return x
        kept = torch.rand((x.shape[0], *[1] * (x.dim() - 1)), device=x.device) >= self.chance
        return x * kept / (1 - self.chance)


class Parametric(nn.Module):
    """An activation mixed with the identity, learned per unit: x + alpha (f(x) - x); RealMLP, arXiv 2407.04491."""

    def __init__(self, activation: nn.Module, width: int) -> None:
        super().__init__()
        self.activation = activation
        self.alpha = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., width) -> (..., width)."""
        return x + self.alpha * (self.activation(x) - x)


def eight(width: float) -> int:
    """The nearest multiple of 8, at least 8: widths that vector units like.

    >>> [eight(w) for w in (3, 11.9, 12.1, 40)]
    [8, 8, 16, 40]
    """
    return max(8, 8 * round(width / 8))


def channels_last(module: nn.Module) -> None:
    """Lay out the weights of 2-D convolutions with channels last: the CPU's kernels are faster that way."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
