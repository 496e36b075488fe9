"""A Transformer over patches of a series (in the manner of PatchTST, arXiv 2211.14730, with a convolutional stem)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from metalearner.records import View

from .attention import Block
from .sequence import Series, Shorten


class SequenceTransformer(nn.Module):
    """Stem makes at most `tokens` patches (B, N, d), blocks mix them, their mean is the answer."""

    members = 1

    def __init__(self, view: View, numbers: Mapping[str, Any]) -> None:
        super().__init__()
        heads = int(numbers["heads"])
        self.width = heads * max(1, round(int(numbers["width"]) / heads))
        self.series = Series(view)
        self.shorten = Shorten(self.series.features, self.series.length, self.width, int(numbers["tokens"]))
        self.position = nn.Parameter(waves(self.shorten.length, self.width))
        # One token that is always there: a series without data still has something to attend to.
        self.own = nn.Parameter(torch.randn(1, 1, self.width) * 0.02)
        self.blocks = nn.ModuleList(Block(self.width, heads, numbers["dropout"]) for _ in range(int(numbers["blocks"])))
        self.norm = nn.LayerNorm(self.width)

    def forward(
        self, values: torch.Tensor, codes: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """-> (B, d)."""
        x, mask = self.shorten(*self.series(values, mask))
        x = x.squeeze(2).transpose(1, 2) + self.position  # (B, N, d)
        x = torch.cat([self.own.expand(x.shape[0], -1, -1), x], dim=1)  # (B, 1 + N, d)
        if mask is not None:
            mask = torch.cat([torch.ones_like(mask[:, :1]), mask], dim=1)
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)
        if mask is None:
            return x.mean(dim=1)
        there = mask.unsqueeze(2)
        return (x * there).sum(dim=1) / there.sum(dim=1)


def waves(length: int, width: int) -> torch.Tensor:
    """Sines and cosines of geometric wavelengths, where learning the positions starts: (length, width)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(1e4) / width))
    angles = torch.arange(length).unsqueeze(1) * rates  # (length, ceil(width / 2))
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width] * 0.5
