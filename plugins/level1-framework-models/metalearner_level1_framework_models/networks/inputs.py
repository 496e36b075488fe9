"""From what a transform gives (values with NaN, codes, mask) to what layers take."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from metalearner.records import View

from ..views import ragged_axis

# Up to here a category is one-hot: a vector a level has nothing to compress.
ONE_HOT = 8


class Folded(nn.Module):
    """Bring chosen axes to the front and fold all others into features; missing and padding become 0.

    (B, axes..., C) -> x (B, lead..., features), and mask (B, ragged axis) or None. The mask comes back only
    when it speaks of a lead axis; along any other axis it has done its work once the padding is 0.
    """

    def __init__(self, view: View, lead: Sequence[int] = ()) -> None:
        super().__init__()
        rest = [i for i in range(len(view.axes) + 1) if i not in lead]
        self.order = (0, *(1 + i for i in lead), *(1 + i for i in rest))
        self.sizes = tuple(view.axes[i].size for i in lead)
        self.features = math.prod(view.shape[i] for i in rest)
        self.ragged = ragged_axis(view)
        self.masks_lead = self.ragged in lead
        self.rank = len(view.shape)

    def forward(self, values: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Values (B, axes..., C), mask (B, ragged axis) or None."""
        x = torch.where(torch.isnan(values), 0.0, values)
        if mask is not None and self.ragged is not None:
            shape = [-1 if i == self.ragged else 1 for i in range(self.rank)]
            x = torch.where(mask.unflatten(1, shape), x, 0.0)
        x = x.permute(self.order).flatten(1 + len(self.sizes))
        return x, mask if self.masks_lead else None


class Codes(nn.Module):
    """Categorical codes (B, q) -> (B, width): one-hot up to 8 levels, a learned vector above."""

    source: torch.Tensor
    level: torch.Tensor
    many: torch.Tensor

    def __init__(self, cardinalities: Sequence[int], vector: int = 8) -> None:
        super().__init__()
        few = [i for i, c in enumerate(cardinalities) if c <= ONE_HOT]
        many = [i for i, c in enumerate(cardinalities) if c > ONE_HOT]
        # All one-hot columns as one comparison: column `source[j]` is compared with level `level[j]`.
        source = [i for i in few for _ in range(cardinalities[i])]
        level = [v for i in few for v in range(cardinalities[i])]
        self.register_buffer("source", torch.tensor(source, dtype=torch.long), persistent=False)
        self.register_buffer("level", torch.tensor(level, dtype=torch.long), persistent=False)
        self.register_buffer("many", torch.tensor(many, dtype=torch.long), persistent=False)
        self.vectors = Vectors([cardinalities[i] for i in many], vector) if many else None
        self.width = len(source) + vector * len(many)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (B, q) int64 -> (B, width)."""
        found = []
        if len(self.source):
            found.append(torch.eq(codes[:, self.source], self.level).float())
        if self.vectors is not None:
            found.append(self.vectors(codes[:, self.many]).flatten(1))
        return torch.cat(found, dim=1)


class Vectors(nn.Module):
    """A learned vector for every level of every column: codes (B, q) -> (B, q, d), one table for all."""

    starts: torch.Tensor

    def __init__(self, cardinalities: Sequence[int], width: int) -> None:
        super().__init__()
        starts = [sum(cardinalities[:i]) for i in range(len(cardinalities))]
        self.register_buffer("starts", torch.tensor(starts, dtype=torch.long), persistent=False)
        self.table = nn.Embedding(sum(cardinalities), width)
        nn.init.uniform_(self.table.weight, -1 / math.sqrt(width), 1 / math.sqrt(width))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (B, q) int64 -> (B, q, d)."""
        return self.table(codes + self.starts)


class TableInput(nn.Module):
    """A table's numbers with 0 for missing, a flag for each that is missing, and its codes as vectors."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self.numbers = math.prod(view.shape)
        self.codes = Codes(view.cardinalities) if view.cardinalities else None
        self.width = 2 * self.numbers + (self.codes.width if self.codes else 0)

    def forward(self, values: torch.Tensor, codes: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Values (B, p, C), codes (B, q) -> numbers (B, pC) and everything else (B, pC + width of codes)."""
        flat = values.flatten(1)
        missing = torch.isnan(flat)
        others = [missing.float()]
        if self.codes is not None and codes is not None:
            others.append(self.codes(codes))
        return torch.where(missing, 0.0, flat), torch.cat(others, dim=1)
