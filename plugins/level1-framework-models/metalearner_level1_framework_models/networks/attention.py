"""The Transformer block both token networks use: pre-norm attention, then a gated perceptron."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, arXiv 1706.03762), written out so that it exports.

    No dropout on the weights: with it the CPU leaves its fused kernel and takes twice as long.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, asking: torch.Tensor, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Asking (B, Q, d), x (B, N, d), mask (B, N) True where there is a token -> (B, Q, d)."""
        q = self.query(asking).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, h, Q, d / h)
        k, v = self.key_value(x).unflatten(2, (2 * self.heads, -1)).transpose(1, 2).chunk(2, dim=1)  # (B, h, N, d / h)
        seen = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, N)
        found = scaled_dot_product_attention(q, k, v, seen)
        return self.out(found.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """x + attention(norm x), then x + ReGLU perceptron(norm x)."""

    def __init__(self, width: int, heads: int, dropout: float, first_only: bool = False) -> None:
        """`first_only` computes the first token alone, enough for a last block that is read there."""
        super().__init__()
        hidden = 4 * width // 3
        self.first_only = first_only
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.gate, self.back = nn.Linear(width, 2 * hidden), nn.Linear(hidden, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """(B, N, d), mask (B, N) -> (B, N, d), or (B, 1, d) when only the first token is asked for."""
        normed = self.before(x)
        if self.first_only:
            x = x[:, :1] + self.drop(self.attention(normed[:, :1], normed, mask))
        else:
            x = x + self.drop(self.attention(normed, normed, mask))
        value, gate = self.gate(self.after(x)).chunk(2, dim=2)
        return x + self.drop(self.back(value * torch.relu(gate)))
