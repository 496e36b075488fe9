"""Pools: features (B, axes..., C) to one vector a row."""

from __future__ import annotations

import torch
from torch import nn

from metalearner.records import View

from ..views import positions
from .attention import Attention
from .convolution import mean
from .layers import BatchNorm, Dropout
from .mixing import highest
from .padding import Padding


class Mean(nn.Module):
    """The mean over what is there; a vector stays what it is."""

    def __init__(self, view: View, dropout: float) -> None:
        super().__init__()
        self.axes, self.pad, self.drop = tuple(range(1, 1 + len(view.axes))), Padding(view), Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """-> (B, C)."""
        return self.drop(mean(x, self.pad.there(mask), self.axes).flatten(1) if self.axes else x)


class MeanMax(nn.Module):
    """Mean beside maximum; or a dense layer, norm and ReLU over both."""

    def __init__(self, view: View, dense: bool, dropout: float) -> None:
        super().__init__()
        self.axes, self.pad, self.drop = tuple(range(1, 1 + len(view.axes))), Padding(view), Dropout(dropout)
        c = view.channels
        self.dense = nn.Sequential(nn.Linear(2 * c, c), BatchNorm(c), nn.ReLU()) if dense else nn.Identity()

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """-> (B, C) or (B, 2 C)."""
        there = self.pad.there(mask)
        both = [mean(x, there, self.axes), highest(x, there, self.axes)]
        return self.dense(self.drop(torch.cat(both, dim=-1).flatten(1)))


class ClassAttention(nn.Module):
    """A learned query asks all positions; what it hears goes through a gated perceptron and a norm."""

    def __init__(self, view: View, heads: int, dropout: float) -> None:
        super().__init__()
        c = view.channels
        hidden = 4 * c // 3
        self.query = nn.Parameter(torch.randn(1, 1, c) * 0.02)
        self.before, self.after, self.end = nn.LayerNorm(c), nn.LayerNorm(c), nn.LayerNorm(c)
        self.attention = Attention(c, heads)
        self.gate, self.back = nn.Linear(c, 2 * hidden), nn.Linear(hidden, c)
        self.pad, self.drop = Padding(view), Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """-> (B, C)."""
        tokens = self.before(x.flatten(1, -2))  # (B, N, C)
        query = self.query.expand_as(tokens[:, :1])
        found = query + self.drop(self.attention(self.before(query), tokens, self.pad.everywhere(x, mask)))
        value, gate = self.gate(self.after(found)).chunk(2, dim=2)
        found = found + self.drop(self.back(value * torch.relu(gate)))  # (B, 1, C)
        return torch.relu(self.end(found.squeeze(1)))


class Ends(nn.Module):
    """Mean, last and first step that is there."""

    def __init__(self, view: View, dropout: float) -> None:
        super().__init__()
        self.pad, self.drop = Padding(view), Dropout(dropout)
        self.size = positions(view)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """(B, T, C) -> (B, 3 C)."""
        average = mean(x, self.pad.there(mask), (1,)).squeeze(1)
        if mask is None:
            return self.drop(torch.cat([average, x[:, -1], x[:, 0]], dim=1))
        ends = (torch.arange(self.size, device=x.device) * mask).amax(dim=1)  # (B,)
        end = x.gather(1, ends[:, None, None].expand(-1, 1, x.shape[2])).squeeze(1)
        there = mask.any(dim=1, keepdim=True)
        return self.drop(torch.cat([average, end * there, x[:, 0] * there], dim=1))


class SideBySide(nn.Module):
    """All positions in a row, padding as 0."""

    def __init__(self, view: View, dropout: float) -> None:
        super().__init__()
        self.pad, self.drop = Padding(view), Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """-> (B, positions times C)."""
        return self.drop(self.pad.hide(x, mask).flatten(1))
