"""Multi-layer perceptron over any view, flattened."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from metalearner.records import View

from ..views import is_table, ragged_axis, size
from .inputs import Codes, Folded, TableInput
from .layers import ACTIVATIONS, BatchNorm

# A flattened sample longer than this is averaged down: a first layer of millions of weights learns nothing from few rows.
LONGEST = 4096


class Perceptron(nn.Module):
    """Linear, norm, activation, dropout, `depth` times. (B, features) -> (B, width)."""

    def __init__(self, features: int, numbers: Mapping[str, Any]) -> None:
        """`numbers` holds depth, width, dropout, norm, activation."""
        super().__init__()
        width = int(numbers["width"])
        norm = {"none": nn.Identity, "layer": nn.LayerNorm, "batch": BatchNorm}[numbers["norm"]]
        layers: list[nn.Module] = []
        for i in range(int(numbers["depth"])):
            layers.append(nn.Linear(features if i == 0 else width, width))
            layers += [norm(width), ACTIVATIONS[numbers["activation"]](), nn.Dropout(numbers["dropout"])]
        self.layers = nn.Sequential(*layers)
        self.width = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, features) -> (B, width)."""
        return self.layers(x)


class FlatTable(nn.Module):
    """A table as one row of numbers: values, flags for the missing, codes. -> (B, width)."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self.input = TableInput(view)
        self.width = self.input.width

    def forward(self, values: torch.Tensor, codes: torch.Tensor | None, mask: torch.Tensor | None) -> torch.Tensor:
        """Values (B, p, C), codes (B, q) -> (B, width)."""
        return torch.cat(self.input(values, codes), dim=1)


class FlatArray(nn.Module):
    """Any array as one row of numbers, long ones averaged down; for ragged ones also mean, spread and maximum.

    (B, axes..., C) -> (B, width).
    """

    def __init__(self, view: View) -> None:
        super().__init__()
        ragged = ragged_axis(view)
        lead = [ragged] if ragged is not None else [0]
        self.folded = Folded(view, lead)  # (B, L, F)
        length, features = view.axes[lead[0]].size, self.folded.features
        self.stride = math.ceil(size(view) / LONGEST)
        self.pad = -length % self.stride
        self.ragged = ragged is not None
        self.codes = Codes(view.cardinalities) if view.cardinalities else None
        self.width = (length + self.pad) // self.stride * features + 3 * features * self.ragged
        self.width += self.codes.width if self.codes else 0

    def forward(self, values: torch.Tensor, codes: torch.Tensor | None, mask: torch.Tensor | None) -> torch.Tensor:
        """Values (B, axes..., C), codes (B, q), mask (B, L) -> (B, width)."""
        x, mask = self.folded(values, mask)  # (B, L, F)
        short = x
        if self.stride > 1:
            padded = nn.functional.pad(x, (0, 0, 0, self.pad))
            short = padded.unflatten(1, (-1, self.stride)).mean(dim=2)  # (B, L / stride, F)
        found = [short.flatten(1)]
        if self.ragged:
            found.append(statistics(x, mask))
        if self.codes is not None and codes is not None:
            found.append(self.codes(codes))
        return torch.cat(found, dim=1)


def statistics(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Mean, spread and maximum over the true length: (B, L, F), (B, L) -> (B, 3 F). Zeros for an empty row."""
    if mask is None:
        mask = torch.ones_like(x[:, :, 0], dtype=torch.bool)
    there = mask.unsqueeze(2)  # (B, L, 1)
    count = there.sum(dim=1).clamp(min=1)
    mean = (x * there).sum(dim=1) / count
    spread = ((x - mean.unsqueeze(1)).square() * there).sum(dim=1).div(count).add(1e-6).sqrt()
    highest = torch.where(there, x, -1e9).amax(dim=1)
    highest = torch.where(mask.any(dim=1, keepdim=True), highest, 0.0)
    return torch.cat([mean, spread, highest], dim=1)


class MLP(nn.Module):
    """A view flattened, then a perceptron."""

    members = 1

    def __init__(self, view: View, numbers: Mapping[str, Any]) -> None:
        super().__init__()
        self.flat = FlatTable(view) if is_table(view) else FlatArray(view)
        self.body = Perceptron(self.flat.width, numbers)
        self.width = self.body.width

    def forward(
        self, values: torch.Tensor, codes: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """-> (B, width)."""
        return self.body(self.flat(values, codes, mask))
