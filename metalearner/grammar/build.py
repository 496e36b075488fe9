"""From a derivation to a torch module. The only place in the grammar that knows torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from ..kinds import Part
from ..records import Config, View
from .types import Productions, Typed, rooted, typed


class Net(nn.Module):
    """Encoders over views, their features fused or side by side, a linear head for each member."""

    def __init__(self, encoders: Mapping[str, nn.Module], width: int, fusion: Any = None) -> None:
        """`encoders` by view name; `width` numbers come out of the head per row."""
        super().__init__()
        self.views = list(encoders)
        self.encoders = nn.ModuleList(encoders.values())
        parts: list[Any] = list(encoders.values())
        self.members = max(int(e.members) for e in parts)
        widths = [int(e.width) for e in parts]
        self.fusion = fusion
        features = sum(widths) if fusion is None else int(fusion.bind(widths))
        bound = 1 / math.sqrt(features)
        self.weight = nn.Parameter(torch.empty(self.members, features, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(self.members, width))

    def forward(self, inputs: list[tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]]) -> torch.Tensor:
        """(values, codes, mask) a view -> head outputs (B, members, width)."""
        features = []
        for encoder, (values, codes, mask) in zip(self.encoders, inputs):
            found = encoder(values, codes, mask)  # (B, F) or (B, members, F)
            found = found if found.dim() == 3 else found.unsqueeze(1)
            features.append(found.expand(-1, self.members, -1))
        joined = torch.cat(features, dim=-1) if self.fusion is None else self.fusion(features)  # (B, members, F)
        return torch.einsum("bmf,mfo->bmo", joined, self.weight) + self.bias


def build(config: Config, views: Mapping[str, View], width: int, productions: Productions) -> Net:
    """The network a "net" derivation describes: its encoders take the views in order."""
    root = rooted(config, views, productions)
    encoders = {name: _module(encoder) for encoder, name in zip(root.within("encoder"), views)}
    fusion = root.within("fusion")
    return Net(encoders, width, _module(fusion[0]) if fusion else None)


def module(node: Config, view: View, productions: Productions) -> nn.Module:
    """The module of one node: what it stands for, with parts that are built when it asks for them."""
    return _module(typed(node, view, productions))


def _module(node: Typed) -> nn.Module:
    parts: dict[str, list[Part]] = {slot: [] for slot in node.production.parts}
    for slot, part in node.parts:
        parts[slot].append(Part(partial(_module, part), part.view, part.gives))
    return node.production.build(node.numbers, node.view, parts)
