"""Mixers that are neither convolution, attention nor recurrence, and those made of others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from metalearner.records import View

from ..views import ordered_axes, positions
from .convolution import Features, mean
from .layers import ACTIVATIONS, moved
from .padding import Padding


class Dense(nn.Linear):
    """A linear layer over channels."""

    def __init__(self, view: View) -> None:
        super().__init__(view.channels, view.channels)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:  # type: ignore[override]
        """(B, axes..., C) -> the same shape."""
        return super().forward(x), mask


class TokenMLP(nn.Module):
    """A perceptron over positions, the same for every channel."""

    def __init__(self, view: View, expansion: float) -> None:
        super().__init__()
        self.sizes, self.pad = [axis.size for axis in view.axes], Padding(view)
        n = positions(view)
        hidden = min(512, max(4, round(n * expansion)))
        self.into, self.out, self.act = nn.Linear(n, hidden), nn.Linear(hidden, n), nn.GELU()

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> the same shape."""
        x = self.pad.hide(x, mask).flatten(1, -2).transpose(1, 2)  # (B, C, N)
        return self.out(self.act(self.into(x))).transpose(1, 2).unflatten(1, self.sizes), mask


class Spectral(nn.Module):
    """A learned filter in frequency along each ordered axis: as long as the axis, wrapped round its ends.

    The transform is a matrix product: it exports to ONNX, and up to 256 positions a matrix is quick.
    """

    def __init__(self, view: View) -> None:
        super().__init__()
        self.pad = Padding(view)
        self.axes = [i for i in ordered_axes(view) if view.axes[i].size > 1]
        self.filters = nn.ParameterList()
        for at, axis in enumerate(self.axes):
            n = view.axes[axis].size
            forth, back = fourier(n)
            self.register_buffer(f"forth{at}", forth, persistent=False)
            self.register_buffer(f"back{at}", back, persistent=False)
            # It begins near the identity: real part 1, imaginary part 0, some noise.
            start = torch.randn(2, len(forth) // 2, view.channels) * 0.02
            start[0] += 1
            self.filters.append(nn.Parameter(start))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> the same shape."""
        x = self.pad.hide(x, mask)
        for at, (axis, weight) in enumerate(zip(self.axes, self.filters)):
            lines = moved(x, 1 + axis, -2)  # (B, ..., n, C)
            real, imaginary = (self.get_buffer(f"forth{at}") @ lines).chunk(2, dim=-2)  # (B, ..., f, C) each
            a, b = weight[0], weight[1]
            turned = torch.cat([real * a - imaginary * b, real * b + imaginary * a], dim=-2)
            x = moved(self.get_buffer(f"back{at}") @ turned, -2, 1 + axis)
        return x, mask


def fourier(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The real Fourier transform of n numbers and its inverse as matrices: (2 f, n) and (n, 2 f), f = n // 2 + 1.

    >>> forth, back = fourier(5)
    >>> bool(torch.allclose(back @ forth, torch.eye(5), atol=1e-5))
    True
    """
    f = torch.arange(n // 2 + 1, dtype=torch.float64)
    angles = 2 * math.pi / n * torch.outer(f, torch.arange(n, dtype=torch.float64))
    forth = torch.cat([angles.cos(), -angles.sin()])
    weight = torch.full_like(f, 2.0)
    weight[0] = 1.0
    if n % 2 == 0:
        weight[-1] = 1.0
    back = torch.cat([angles.cos() * weight[:, None], -angles.sin() * weight[:, None]]).T / n
    return forth.float(), back.float()


class SetPooling(nn.Module):
    """Each position beside the mean and the maximum of all; then ReLU and a linear layer."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self.axes, self.pad = tuple(range(1, 1 + len(view.axes))), Padding(view)
        c = view.channels
        self.own, self.average, self.highest = nn.Linear(c, c), nn.Linear(c, c, bias=False), nn.Linear(c, c, bias=False)
        self.out = nn.Linear(c, c)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> the same shape."""
        there = self.pad.there(mask)
        both = self.average(mean(x, there, self.axes)) + self.highest(highest(x, there, self.axes))
        return self.out(torch.relu(self.own(x) + both)), mask


def highest(x: torch.Tensor, there: torch.Tensor | None, axes: tuple[int, ...]) -> torch.Tensor:
    """Maximum over the axes of what is there, 0 where nothing is; the axes stay with size 1."""
    if there is None:
        return x.amax(dim=axes, keepdim=True)
    found = torch.where(there, x, -1e9).amax(dim=axes, keepdim=True)
    return torch.where(there.any(dim=-2, keepdim=True).amax(dim=axes, keepdim=True), found, 0.0)


class Parallel(nn.Module):
    """Two mixers and a gate: g a + (1 - g) b."""

    def __init__(self, channels: int, gate: str, mixers: Sequence[nn.Module]) -> None:
        """`gate` is "channel", one number each, or "position", read from what comes in."""
        super().__init__()
        self.mixers = nn.ModuleList(mixers)
        self.gate = nn.Linear(channels, channels) if gate == "position" else None
        self.share = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> the same shape."""
        g = torch.sigmoid(self.share if self.gate is None else self.share + self.gate(x))
        (a, _), (b, _) = (mixer(x, mask) for mixer in self.mixers)
        return g * a + (1 - g) * b, mask


class InTurn(nn.Module):
    """Mixers one after the other, an activation between."""

    def __init__(self, mixers: Sequence[nn.Module], activation: str) -> None:
        super().__init__()
        self.mixers, self.act = nn.ModuleList(mixers), ACTIVATIONS[activation]()

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> the same shape."""
        for i, mixer in enumerate(self.mixers):
            x, mask = mixer(x if i == 0 else self.act(x), mask)
        return x, mask
