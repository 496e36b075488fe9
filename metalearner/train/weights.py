"""The weights of networks of one shape as one matrix, a row each, and how they lie in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import pad


class Layout:
    """Where each parameter of a network lies in its row of weights. Memory order is kept (channels last stays so).

    Each begins at a multiple of so many numbers: an accelerator's kernels read several at once, from such places alone.
    """

    def __init__(self, net: nn.Module, align: int = 1) -> None:
        parameters = dict(net.named_parameters())
        self.names = list(parameters)
        self.counts = [p.numel() for p in parameters.values()]
        self.sizes = [-(-count // align) * align for count in self.counts]
        self.orders = [sorted(range(p.dim()), key=lambda d: (-p.stride()[d], d)) for p in parameters.values()]
        self.shapes = [[p.shape[d] for d in order] for p, order in zip(parameters.values(), self.orders)]
        self.backs = [None if o == sorted(o) else [1 + o.index(d) for d in range(len(o))] for o in self.orders]

    def row(self, net: nn.Module) -> torch.Tensor:
        """The weights of a network, (P,)."""
        return self.joined([p.detach() for p in net.parameters()])

    def joined(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        """Tensors shaped like the parameters, in their order, as a row (P,)."""
        parts = [t.permute(order).reshape(-1) for t, order in zip(tensors, self.orders)]
        if self.sizes != self.counts:
            parts = [pad(part, (0, size - len(part))) for part, size in zip(parts, self.sizes)]
        return torch.cat(parts)

    def split(self, weights: torch.Tensor) -> dict[str, torch.Tensor]:
        """Weights (K, P) as stacked parameters (K, ...) by name: views, through which gradients flow."""
        found = {}
        parts: Sequence[torch.Tensor] = weights.split(self.sizes, 1)
        if self.sizes != self.counts:
            parts = [part.narrow(1, 0, count) for part, count in zip(parts, self.counts)]
        for name, part, shape, back in zip(self.names, parts, self.shapes, self.backs):
            stacked = part.unflatten(1, shape) if shape else part.squeeze(1)
            found[name] = stacked if back is None else stacked.permute(0, *back)
        return found


@dataclass
class State:
    """What K networks of one shape are at a moment: weights (K, P) and the buffers they keep, (K, ...) by name."""

    weights: torch.Tensor
    buffers: dict[str, torch.Tensor]

    def tensors(self) -> list[torch.Tensor]:
        """All of it."""
        return [self.weights, *self.buffers.values()]

    def like(self, tensors: Sequence[torch.Tensor]) -> State:
        """Tensors in the order of `tensors()` as a state."""
        return State(tensors[0], dict(zip(self.buffers, tensors[1:])))

    def clone(self) -> State:
        """A copy of its own."""
        return self.like([t.detach().clone() for t in self.tensors()])

    def select(self, rows: torch.Tensor) -> State:
        """A copy of these rows."""
        rows = rows.to(self.weights.device)
        return self.like([t.detach().index_select(0, rows) for t in self.tensors()])

    def put(self, rows: torch.Tensor, other: State) -> None:
        """Take over these rows of another state."""
        rows = rows.to(self.weights.device)
        for mine, theirs in zip(self.tensors(), other.tensors()):
            mine.index_copy_(0, rows, theirs.detach().index_select(0, rows))

    def by_name(self, row: int, layout: Layout) -> dict[str, torch.Tensor]:
        """One network's parameters and buffers, as its `state_dict` names them."""
        found = {name: t[0] for name, t in layout.split(self.weights.detach()[row : row + 1]).items()}
        return {**found, **{name: t[row] for name, t in self.buffers.items()}}


def kept_buffers(net: nn.Module) -> dict[str, torch.Tensor]:
    """The buffers a network saves, by name (batch norm's statistics); the others are constants."""
    saved = net.state_dict(keep_vars=True)
    return {name: b for name, b in net.named_buffers() if name in saved}
