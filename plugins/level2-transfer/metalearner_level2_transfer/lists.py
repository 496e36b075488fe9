"""Where the layers of a stranger's network are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from torch import nn


def layers_of(net: nn.Module) -> nn.ModuleList:
    """The largest list of modules that lies in no other: the layers of a transformer, the stages of a convolutional network."""
    return max(_outermost(net), key=lambda found: sum(p.numel() for p in found.parameters()), default=nn.ModuleList())


def before(net: nn.Module, layers: Sequence[nn.Module]) -> list[nn.Parameter]:
    """What a network can learn before these layers: embeddings, the first convolution."""
    within = {id(p) for layer in layers for p in layer.parameters()}
    return list(takewhile(lambda p: id(p) not in within, net.parameters()))


def train_only(net: nn.Module, layers: Sequence[nn.Module]) -> None:
    """Freeze a network but for these layers."""
    net.requires_grad_(False)
    for layer in layers:
        layer.requires_grad_(True)


def _outermost(net: nn.Module) -> Iterator[nn.ModuleList]:
    for child in net.children():
        if isinstance(child, nn.ModuleList):
            yield child
        else:
            yield from _outermost(child)
