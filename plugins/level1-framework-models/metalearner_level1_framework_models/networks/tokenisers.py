"""Tokenisers: (values, codes, mask) to features (B, axes..., C) and a mask. Codes are added where they have no place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from metalearner.records import View

from ..views import positions
from .convolution import Convolution, Features
from .inputs import Folded, Vectors
from .layers import ACTIVATIONS, BatchNorm
from .padding import Padding

# Folded channels above this go through a linear layer before any convolution.
MANY = 256


class Positions(nn.Module):
    """A vector for each place along each axis that is no set, added. (B, axes..., C) -> the same."""

    def __init__(self, view: View, kind: str) -> None:
        """`kind` is "none", "learned" (from waves on) or "sinusoidal" (waves)."""
        super().__init__()
        axes = [i for i, axis in enumerate(view.axes) if axis.kind != "set"] if kind != "none" else []
        self.names = [f"axis{i}" for i in axes]
        for name, i in zip(self.names, axes):
            start = waves(view.axes[i].size, view.channels)
            start = start.reshape(*(n if j == i else 1 for j, n in enumerate(view.shape[:-1])), -1)
            if kind == "learned":
                self.register_parameter(name, nn.Parameter(start))
            else:
                self.register_buffer(name, start, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, axes..., C) -> the same."""
        for name in self.names:
            x = x + getattr(self, name)
        return x


def waves(length: int, width: int) -> torch.Tensor:
    """Sines and cosines of geometric wavelengths: (length, width)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(1e4) / width))
    angles = torch.arange(length).unsqueeze(1) * rates  # (length, ceil(width / 2))
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width] * 0.5


class Beside(nn.Module):
    """The sum of the vectors of a row's codes, added at every position. (B, axes..., C), (B, q) -> (B, axes..., C)."""

    def __init__(self, view: View, gives: View) -> None:
        super().__init__()
        self.vectors = Vectors(view.cardinalities, gives.channels) if view.cardinalities else None
        self.shape = [1] * len(gives.axes) + [gives.channels]

    def forward(self, x: torch.Tensor, codes: torch.Tensor | None) -> torch.Tensor:
        """-> (B, axes..., C)."""
        if self.vectors is None or codes is None:
            return x
        return x + self.vectors(codes).sum(dim=1).unflatten(1, self.shape)


class Projected(nn.Module):
    """Kept axes as they are, everything else about a position through a linear layer."""

    def __init__(self, view: View, lead: Sequence[int], gives: View, position: str) -> None:
        super().__init__()
        self.folded, self.linear = (
            Folded(view, lead),
            nn.Linear(math.prod(view.shape) // positions(gives), gives.channels),
        )
        self.place, self.beside = Positions(gives, position), Beside(view, gives)

    def forward(self, values: torch.Tensor, codes: torch.Tensor | None, mask: torch.Tensor | None) -> Features:
        """-> (B, axes..., C), mask."""
        x, mask = self.folded(values, mask)
        return self.beside(self.place(self.linear(x)), codes), mask


class Patches(nn.Module):
    """Convolutions that stride over the kept axes, each with batch norm and activation."""

    def __init__(
        self, view: View, lead: Sequence[int], gives: View, steps: Sequence[Sequence[int]], numbers: Mapping[str, Any]
    ) -> None:
        """`steps` are the strides of each convolution along each axis; `numbers` holds activation, position, kernel."""
        super().__init__()
        self.folded = Folded(view, lead)
        features = self.folded.features
        self.narrow = nn.Linear(features, gives.channels) if features > MANY else None
        axes = tuple(view.axes[i] for i in lead)
        reached = View(axes, gives.channels if self.narrow is not None else features)
        layers = []
        for i, strides in enumerate(steps):
            last = i == len(steps) - 1
            left = tuple(type(a)(a.kind, -(-a.size // s), a.ragged) for a, s in zip(reached.axes, strides))
            outputs = View(left, gives.channels if last else max(8, gives.channels // 2))
            layers.append(Stride(reached, outputs, strides, numbers))
            reached = outputs
        self.layers = nn.ModuleList(layers)
        self.place, self.beside = Positions(gives, numbers["position"]), Beside(view, gives)

    def forward(self, values: torch.Tensor, codes: torch.Tensor | None, mask: torch.Tensor | None) -> Features:
        """-> (B, axes..., C), mask."""
        x, mask = self.folded(values, mask)
        if self.narrow is not None:
            x = self.narrow(x)
        for layer in self.layers:
            x, mask = layer(x, mask)
        return self.beside(self.place(x), codes), mask


class Stride(nn.Module):
    """One strided convolution with batch norm and activation: kernels overlap by about half."""

    def __init__(self, view: View, gives: View, strides: Sequence[int], numbers: Mapping[str, Any]) -> None:
        super().__init__()
        least = numbers.get("kernel", 3)
        series = len(strides) == 1
        kernels = [max(least if s == 1 else 5, 2 * s - 1) if series else {1: 3, 2: 5}.get(s, s + 1) for s in strides]
        self.conv = Convolution(view, gives.channels, kernels, strides)
        self.norm, self.pad = BatchNorm(gives.channels), Padding(gives)
        self.act = ACTIVATIONS[numbers["activation"]]()

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C), mask -> the same of what is left."""
        x, mask = self.conv(x, mask)
        return self.act(self.norm(x, self.pad.there(mask))), mask


class Columns(nn.Module):
    """Numbers (B, p) and codes (B, q) -> tokens (B, p + q, d). A missing number has a learned vector of its own."""

    def __init__(self, view: View, gives: View) -> None:
        super().__init__()
        numbers, width = math.prod(view.shape), gives.channels
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(numbers, width).uniform_(-bound, bound)) if numbers else None
        self.missing = nn.Parameter(torch.empty(numbers, width).uniform_(-bound, bound)) if numbers else None
        self.vectors = Vectors(view.cardinalities, width) if view.cardinalities else None
        self.bias = nn.Parameter(torch.empty(positions(gives), width).uniform_(-bound, bound))

    def forward(self, values: torch.Tensor, codes: torch.Tensor | None, mask: torch.Tensor | None) -> Features:
        """-> (B, columns, d), None."""
        tokens = []
        if self.weight is not None and self.missing is not None:
            x = values.flatten(1).unsqueeze(2)  # (B, p, 1)
            gone = torch.isnan(x)
            tokens.append(torch.where(gone, self.missing, torch.where(gone, 0.0, x) * self.weight))
        if self.vectors is not None and codes is not None:
            tokens.append(self.vectors(codes))
        return torch.cat(tokens, dim=1) + self.bias, None
