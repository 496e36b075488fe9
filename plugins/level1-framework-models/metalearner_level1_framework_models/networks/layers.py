"""Small layers that many networks share.

A rate of dropout lies in a buffer, not in Python, so that networks which differ in rates alone can be trained as one
batch (`torch.func.vmap` over stacked parameters and buffers).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "none": nn.Identity, "relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "selu": nn.SELU, "mish": nn.Mish,
    "hardswish": nn.Hardswish,
}  # fmt: skip


class Dropout(nn.Module):
    """In training each number becomes 0 with this chance; the others grow so that the expectation stays."""

    rate: torch.Tensor

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.register_buffer("rate", torch.tensor(float(rate)), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(...) -> (...)."""
        if not self.training:
            return x
        return x * ((torch.rand_like(x) >= self.rate) / (1 - self.rate))


class DropPath(Dropout):
    """Stochastic depth (Huang et al. 2016, arXiv 1603.09382): in training a row skips the branch with this chance."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, ...) -> (B, ...)."""
        if not self.training:
            return x
        chance = torch.rand_like(x.flatten(1)[:, :1]).unflatten(1, (1,) * (x.dim() - 1))  # (B, 1...)
        return x * ((chance >= self.rate) / (1 - self.rate))


class BatchNorm(nn.Module):
    """Batch norm over the last axis of (B, axes..., C); positions that are padding do not count.

    A training batch with a single value a channel is normed by the running statistics.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: torch.Tensor, there: torch.Tensor | None = None) -> torch.Tensor:
        """(B, axes..., C), what is there (B, 1 or size..., 1) or None -> (B, axes..., C)."""
        if there is not None and self.training:
            return self._masked(x, there)
        flat = x if x.dim() == 2 else first(x)
        training = self.training and x.numel() > x.shape[-1]
        normed = functional.batch_norm(flat, self.running_mean, self.running_var, self.weight, self.bias, training)
        return normed if x.dim() == 2 else last(normed, x.dim())

    def _masked(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        around = tuple(range(x.dim() - 1))
        weight = there.to(x.dtype).expand_as(x[..., :1])
        count = weight.sum()
        mean = (x * weight).sum(around) / count.clamp(min=1)
        spread = ((x - mean).square() * weight).sum(around)
        with torch.no_grad():
            # Nothing there: the statistics stay. One value: no spread to learn from.
            step = 0.1 * (count > 1)
            self.running_mean.add_(step * (mean.detach() - self.running_mean))
            self.running_var.add_(step * (spread.detach() / (count - 1).clamp(min=1) - self.running_var))
        scale = self.weight * (spread / count.clamp(min=1) + 1e-5).rsqrt()
        return (x - mean) * scale + self.bias


class Parametric(nn.Module):
    """An activation mixed with the identity, learned per unit: x + alpha (f(x) - x); RealMLP, arXiv 2407.04491."""

    def __init__(self, activation: nn.Module, width: int) -> None:
        super().__init__()
        self.activation = activation
        self.alpha = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., width) -> (..., width)."""
        return x + self.alpha * (self.activation(x) - x)


def first(x: torch.Tensor) -> torch.Tensor:
    """Channels first for kernels that want it, without a copy: (B, H, W, C) -> (B, C, H, W), (B, T, C) -> (B, C, 1, T).

    The memory stays as it is, which is torch's channels_last. Series are images one pixel high because long kernels
    ran two to three times faster on a CPU than through Conv1d.
    """
    if x.dim() == 3:
        x = x.unsqueeze(1)
    return moved(x, -1, 1)


def last(x: torch.Tensor, rank: int) -> torch.Tensor:
    """Back again: (B, C, H, W) -> (B, H, W, C), or (B, T, C) where the rank was 3."""
    x = moved(x, 1, -1)
    return x.squeeze(1) if rank == 3 else x


def moved(x: torch.Tensor, source: int, target: int) -> torch.Tensor:
    """One axis taken to another place, as torch's `movedim`, of which a trace makes no valid ONNX."""
    order = [i for i in range(x.dim()) if i != source % x.dim()]
    order.insert(target % x.dim(), source % x.dim())
    return x.permute(order)
