"""Multi-head attention (Vaswani et al. 2017, arXiv 1706.03762): global, within windows, and of one query."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from metalearner.records import View

from ..views import ordered_axes, positions
from .padding import Padding

# Under vmap the fused kernel is called network by network, which torch warns about at each call. It is still the
# quickest: written out, the same took up to four times as long at 256 positions.
warnings.filterwarnings(
    "ignore", message="There is a performance drop because we have not yet implemented the batching"
)


class Attention(nn.Module):
    """Some ask, others answer; written out so that it exports.

    No dropout on the weights: with it the CPU leaves its fused kernel and takes twice as long.
    """

    def __init__(self, width: int, heads: int) -> None:
        """Each head has `width / heads` channels, rounded up."""
        super().__init__()
        self.heads = heads
        inner = heads * -(-width // heads)
        self.query, self.key_value = nn.Linear(width, inner), nn.Linear(width, 2 * inner)
        self.out = nn.Linear(inner, width)

    def forward(self, asking: torch.Tensor, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Asking (B, Q, d), x (B, N, d), mask (B, N) True where there is a token -> (B, Q, d).

        Where there is no token, only the last layer's bias.
        """
        q = self.query(asking).unflatten(-1, (self.heads, -1)).transpose(-2, -3)  # (B, h, Q, d / h)
        k, v = self.key_value(x).unflatten(-1, (2 * self.heads, -1)).transpose(-2, -3).chunk(2, dim=-3)
        if mask is None:
            return self.out(scaled_dot_product_attention(q, k, v).transpose(-2, -3).flatten(-2))
        some = mask.any(dim=-1, keepdim=True)  # (B, 1); an empty softmax has no value
        found = scaled_dot_product_attention(q, k, v, (mask | ~some)[..., None, None, :])
        return self.out(found.transpose(-2, -3).flatten(-2) * some.unsqueeze(-1))


class GlobalAttention(nn.Module):
    """Every position asks every other."""

    def __init__(self, view: View, heads: int) -> None:
        super().__init__()
        self.attention, self.pad = Attention(view.channels, heads), Padding(view)
        self.sizes = [axis.size for axis in view.axes]

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(B, axes..., C), mask -> the same."""
        tokens = x.flatten(1, -2)  # (B, N, C)
        found = self.attention(tokens, tokens, self.pad.everywhere(x, mask))
        return found.unflatten(1, self.sizes), mask


class WindowedAttention(nn.Module):
    """Positions ask those of their own window and half a window around it. Axes without an order are taken one by one."""

    inside: torch.Tensor
    around: torch.Tensor
    exists: torch.Tensor
    place: torch.Tensor

    def __init__(self, view: View, heads: int, window: int) -> None:
        """`window` is positions a window, all axes together."""
        super().__init__()
        self.attention, self.pad = Attention(view.channels, heads), Padding(view)
        self.sizes = [axis.size for axis in view.axes]
        inside, around = windows(self.sizes, ordered_axes(view), window)
        self.register_buffer("inside", torch.tensor(inside).clamp(min=0), persistent=False)  # (w, q)
        self.register_buffer("around", torch.tensor(around).clamp(min=0), persistent=False)  # (w, k)
        self.register_buffer("exists", torch.tensor(around) >= 0, persistent=False)
        flat = torch.tensor(inside).flatten()
        place = torch.empty(positions(view), dtype=torch.long)
        place[flat[flat >= 0]] = torch.arange(len(flat))[flat >= 0]  # where each position ended up
        self.register_buffer("place", place, persistent=False)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(B, axes..., C), mask -> the same."""
        tokens = x.flatten(1, -2)  # (B, N, C)
        seen = self.exists.expand(x.shape[0], -1, -1)  # (B, w, k)
        there = self.pad.everywhere(x, mask)
        if there is not None:
            seen = seen & there[:, self.around]
        found = self.attention(
            tokens[:, self.inside].flatten(0, 1), tokens[:, self.around].flatten(0, 1), seen.flatten(0, 1)
        )  # (B w, q, C)
        found = found.unflatten(0, (-1, len(self.inside))).flatten(1, 2)[:, self.place]
        return found.unflatten(1, self.sizes), mask


def windows(sizes: Sequence[int], ordered: Sequence[int], window: int) -> tuple[list[list[int]], list[list[int]]]:
    """Positions inside each window, and those inside and around it; -1 beyond an edge.

    >>> windows([5], [0], 4)
    ([[0, 1, 2, 3], [4, -1, -1, -1]], [[-1, -1, 0, 1, 2, 3, 4, -1], [2, 3, 4, -1, -1, -1, -1, -1]])
    """
    side = max(2, round(window ** (1 / len(ordered))))
    steps = [min(side, n) if i in ordered else 1 for i, n in enumerate(sizes)]
    inside, around = [], []
    for corner in itertools.product(*(range(0, n, s) for n, s in zip(sizes, steps))):
        inside.append(_box(sizes, corner, steps, [0] * len(sizes)))
        around.append(_box(sizes, corner, steps, [s // 2 if i in ordered else 0 for i, s in enumerate(steps)]))
    return inside, around


def _box(sizes: Sequence[int], corner: Sequence[int], steps: Sequence[int], halo: Sequence[int]) -> list[int]:
    """Flat positions of a box with a halo, -1 where it leaves the axes."""
    found = []
    for place in itertools.product(*(range(c - h, c + s + h) for c, s, h in zip(corner, steps, halo))):
        inside = all(0 <= p < n for p, n in zip(place, sizes))
        found.append(sum(p * math.prod(sizes[i + 1 :]) for i, p in enumerate(place)) if inside else -1)
    return found
