"""What holds modules of features together: blocks, norms, stages, the stack. All give features and a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from metalearner.records import View

from .convolution import Features, Pointwise
from .layers import ACTIVATIONS, BatchNorm, Dropout, DropPath
from .padding import Padding


class Stack(nn.Module):
    """Tokeniser, body, pool: (values, codes, mask) -> (B, width)."""

    members = 1

    def __init__(self, tokeniser: nn.Module, body: Sequence[nn.Module], pool: nn.Module, width: int) -> None:
        """`width` is what the pool gives."""
        super().__init__()
        self.tokeniser, self.body, self.pool, self.width = tokeniser, nn.ModuleList(body), pool, width

    def forward(
        self, values: torch.Tensor, codes: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """-> (B, width)."""
        x, mask = self.tokeniser(values, codes, mask)
        for part in self.body:
            x, mask = part(x, mask)
        return self.pool(x, mask)


class Series(nn.Module):
    """Modules one after the other."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(modules)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C), mask -> the same of what comes out."""
        for part in self.parts:
            x, mask = part(x, mask)
        return x, mask


class Norm(nn.Module):
    """Norm ("batch", "layer" or "no"), then an activation."""

    def __init__(self, view: View, kind: str, activation: str) -> None:
        super().__init__()
        self.pad = Padding(view)
        self.batch = BatchNorm(view.channels) if kind == "batch" else None
        self.norm = nn.LayerNorm(view.channels) if kind == "layer" else nn.Identity()
        self.act = ACTIVATIONS[activation]()

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> the same shape."""
        x = self.norm(x) if self.batch is None else self.batch(x, self.pad.there(mask))
        return self.act(x), mask


class Plain(nn.Module):
    """act(mixer(drop(norm(x))))."""

    def __init__(self, norm: nn.Module, mixer: nn.Module, numbers: Mapping[str, Any]) -> None:
        """`numbers` holds activation, dropout."""
        super().__init__()
        self.norm, self.mixer = norm, mixer
        self.drop, self.act = Dropout(numbers["dropout"]), ACTIVATIONS[numbers["activation"]]()

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> the same shape."""
        x, _ = self.norm(x, mask)
        x, _ = self.mixer(self.drop(x), mask)
        return self.act(x), mask


class Residual(nn.Module):
    """act(x + drop(mixer(norm(x))))."""

    def __init__(self, norm: nn.Module, mixer: nn.Module, numbers: Mapping[str, Any]) -> None:
        """`numbers` holds activation, dropout, drop_path."""
        super().__init__()
        self.norm, self.mixer = norm, mixer
        self.drop, self.skip = Dropout(numbers["dropout"]), DropPath(numbers["drop_path"])
        self.act = ACTIVATIONS[numbers["activation"]]()

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> the same shape."""
        inner, _ = self.norm(x, mask)
        inner, _ = self.mixer(inner, mask)
        return self.act(x + self.skip(self.drop(inner))), mask


class ChannelMLP(nn.Module):
    """x + drop(perceptron(norm(x))), its hidden units gated or not."""

    def __init__(self, channels: int, norm: nn.Module, numbers: Mapping[str, Any]) -> None:
        """`numbers` holds expansion, gate, activation, dropout, drop_path."""
        super().__init__()
        hidden = int(channels * numbers["expansion"])
        self.norm, self.gated, self.act = norm, numbers["gate"], ACTIVATIONS[numbers["activation"]]()
        self.into, self.out = nn.Linear(channels, hidden * (2 if self.gated else 1)), nn.Linear(hidden, channels)
        self.drop, self.skip = Dropout(numbers["dropout"]), DropPath(numbers["drop_path"])

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> the same shape."""
        inner = self.into(self.norm(x, mask)[0])
        if self.gated:
            value, gate = inner.chunk(2, dim=-1)
            inner = value * self.act(gate)
        else:
            inner = self.act(inner)
        return x + self.skip(self.drop(self.out(inner))), mask


class Widen(nn.Module):
    """A linear layer over channels, batch norm, activation."""

    def __init__(self, view: View, outputs: int, activation: str) -> None:
        super().__init__()
        self.linear, self.norm = Pointwise(view.channels, outputs), BatchNorm(outputs)
        self.act, self.pad = ACTIVATIONS[activation](), Padding(view)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> (B, axes..., outputs)."""
        return self.act(self.norm(self.linear(x), self.pad.there(mask))), mask
