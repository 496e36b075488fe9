"""Any view as one vector."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import pad

from metalearner.records import View

from ..views import is_table, ragged_axis, size
from .convolution import Features
from .inputs import Codes, Folded, TableInput

# A flattened sample longer than this is averaged down: a first layer of millions of weights learns nothing from few rows.
LONGEST = 4096


class Flat(nn.Module):
    """A view in one vector, then a linear layer. (values, codes, mask) -> (B, width), None."""

    def __init__(self, view: View, width: int) -> None:
        super().__init__()
        self.flat = FlatTable(view) if is_table(view) else FlatArray(view)
        self.linear = nn.Linear(self.flat.width, width)

    def forward(self, values: torch.Tensor, codes: torch.Tensor | None, mask: torch.Tensor | None) -> Features:
        """-> (B, width), None."""
        return self.linear(self.flat(values, codes, mask)), None


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
        # The axis that is averaged down: the ragged one, or the longest.
        lead = max(range(len(view.axes)), key=lambda i: view.axes[i].size) if ragged is None else ragged
        self.folded = Folded(view, [lead])  # (B, L, F)
        length, features = view.axes[lead].size, self.folded.features
        self.thin = math.ceil(features / (LONGEST // 4)) if features > LONGEST else 1
        features = math.ceil(features / self.thin)
        self.stride = min(length, math.ceil(length * features / LONGEST)) if size(view) else 1
        self.ragged = ragged is not None
        self.codes = Codes(view.cardinalities) if view.cardinalities else None
        self.width = math.ceil(length / self.stride) * features + 3 * features * self.ragged
        self.width += self.codes.width if self.codes else 0

    def forward(self, values: torch.Tensor, codes: torch.Tensor | None, mask: torch.Tensor | None) -> torch.Tensor:
        """Values (B, axes..., C), codes (B, q), mask (B, L) -> (B, width)."""
        x, mask = self.folded(values, mask)  # (B, L, F)
        x = averaged(x, self.thin)
        short = averaged(x.transpose(1, 2), self.stride).transpose(1, 2)  # (B, L / stride, F)
        found = [short.flatten(1)]
        if self.ragged:
            found.append(statistics(x, mask))
        if self.codes is not None and codes is not None:
            found.append(self.codes(codes))
        return torch.cat(found, dim=1)


def averaged(x: torch.Tensor, run: int) -> torch.Tensor:
    """Runs of neighbours along the last axis become their mean: (..., n) -> (..., ceil(n / run))."""
    if run == 1:
        return x
    return pad(x, (0, -x.shape[-1] % run)).unflatten(-1, (-1, run)).mean(dim=-1)


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
