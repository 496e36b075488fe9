"""Fusion in torch: lists of features (B, members, width_i) to features (B, members, width)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn


class Gated(nn.Module):
    """Projections to one width, averaged with weights that each row gives to each view."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.project, self.weigh = nn.ModuleList(), nn.ModuleList()

    def bind(self, widths: Sequence[int]) -> int:
        """A projection and a weight for each view."""
        self.project = nn.ModuleList(nn.Linear(w, self.width) for w in widths)
        self.weigh = nn.ModuleList(nn.Linear(w, 1) for w in widths)
        return self.width

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """(B, members, width)."""
        said = torch.stack([torch.relu(project(x)) for project, x in zip(self.project, features)], dim=-2)
        heard = torch.cat([weigh(x) for weigh, x in zip(self.weigh, features)], dim=-1).softmax(-1)
        return (said * heard.unsqueeze(-1)).sum(-2)


class Attentive(nn.Module):
    """One layer of attention over the views and a token for the row, which is what comes out."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.project = nn.ModuleList()
        self.row = nn.Parameter(torch.randn(width) / math.sqrt(width))
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm, self.end = nn.LayerNorm(width), nn.LayerNorm(width)

    def bind(self, widths: Sequence[int]) -> int:
        """A projection for each view."""
        self.project = nn.ModuleList(nn.Linear(w, self.width) for w in widths)
        return self.width

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """(B, members, width)."""
        views = [project(x) for project, x in zip(self.project, features)]
        tokens = torch.stack([self.row.expand_as(views[0]), *views], dim=-2)  # (B, members, views + 1, width)
        query, key, value = self.mix(self.norm(tokens)).chunk(3, dim=-1)
        query, key, value = (self._split(x) for x in (query, key, value))
        likeness = query @ key.transpose(-1, -2) / math.sqrt(self.width / self.heads)
        mixed = (likeness.softmax(-1) @ value).transpose(-2, -3).flatten(-2)
        return self.end(tokens + self.out(mixed))[..., 0, :]

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """(..., tokens, width) -> (..., heads, tokens, width / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)
