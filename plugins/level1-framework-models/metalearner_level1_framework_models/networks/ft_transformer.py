"""FT-Transformer (Gorishniy et al. 2021, arXiv 2106.11959): every column a token, a Transformer over them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from metalearner.records import View

from .attention import Block
from .inputs import Vectors


class Tokeniser(nn.Module):
    """Numbers (B, p) and codes (B, q) -> tokens (B, 1 + p + q, d), the first one read at the end."""

    def __init__(self, numbers: int, cardinalities: tuple[int, ...], width: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(numbers, width).uniform_(-bound, bound)) if numbers else None
        self.missing = nn.Parameter(torch.empty(numbers, width).uniform_(-bound, bound)) if numbers else None
        self.vectors = Vectors(cardinalities, width) if cardinalities else None
        self.bias = nn.Parameter(torch.empty(1 + numbers + len(cardinalities), width).uniform_(-bound, bound))

    def forward(self, values: torch.Tensor, codes: torch.Tensor | None) -> torch.Tensor:
        """A missing number has a learned vector of its own."""
        x = values.flatten(1).unsqueeze(2)  # (B, p, 1)
        tokens = [torch.zeros_like(self.bias[:1]).expand(values.shape[0], 1, -1)]  # its vector is the first bias
        if self.weight is not None and self.missing is not None:
            gone = torch.isnan(x)
            tokens.append(torch.where(gone, self.missing, torch.where(gone, 0.0, x) * self.weight))
        if self.vectors is not None and codes is not None:
            tokens.append(self.vectors(codes))
        return torch.cat(tokens, dim=1) + self.bias


class FTTransformer(nn.Module):
    """Table -> tokens (B, 1 + columns, d) -> blocks -> first token (B, d)."""

    members = 1

    def __init__(self, view: View, numbers: Mapping[str, Any]) -> None:
        super().__init__()
        heads, blocks = int(numbers["heads"]), int(numbers["blocks"])
        self.width = heads * max(1, round(int(numbers["width"]) / heads))
        self.tokens = Tokeniser(math.prod(view.shape), view.cardinalities, self.width)
        self.blocks = nn.ModuleList(
            Block(self.width, heads, numbers["dropout"], first_only=i == blocks - 1) for i in range(blocks)
        )
        self.norm = nn.LayerNorm(self.width)

    def forward(
        self, values: torch.Tensor, codes: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """-> (B, d)."""
        x = self.tokens(values, codes)
        for block in self.blocks:
            x = block(x)
        return torch.relu(self.norm(x[:, 0]))
