"""The last layers of a backbone as an encoder of a network, each learning at its own rate, by its weights or by LoRA."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from metalearner.errors import Pruned
from metalearner.kinds import Backbone, Part, Production
from metalearner.records import View

from .reading import half_precision, opened

# What the linear maps are called that make queries and values in the attention of transformers.
ATTENTION = ("query", "value", "q_proj", "v_proj", "q_lin", "v_lin")


class UpperLayers(Production):
    """An encoder that takes what a backbone's lower layers give. It exists within a fit alone: nobody searches over it."""

    symbol = "encoder"

    def __init__(self, backbone: Backbone, tuned: int, numbers: Mapping[str, Any], way: Mapping[str, Any]) -> None:
        self.name = f"{backbone.name}:last-{tuned}"
        self.backbone, self.tuned, self.numbers, self.way = backbone, tuned, numbers, way

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View:
        """Features."""
        return View((), self.backbone.width)

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """A copy of the layers with their weights."""
        upper: Any = opened(self.backbone).upper(self.tuned, self.numbers)
        if self.way["method"] == "lora":
            _adapt(upper, list(upper.layers), int(self.way["rank"]))
        elif self.way["below"] and self.tuned >= self.backbone.layers:
            upper.requires_grad_(True)
        _pace(upper, list(upper.layers), float(self.way["rate"]), float(self.way["decay"]))
        return Features(upper, self.backbone.width, self.backbone.raw)


class Features(nn.Module):
    """An encoder: (values, codes, mask) to features (B, width); with numbers half as long where that is faster."""

    members = 1
    stackable = False
    trims = True

    def __init__(self, upper: nn.Module, width: int, raw: str) -> None:
        super().__init__()
        self.upper, self.width, self.half = upper, width, half_precision()
        self.convolves = raw == "pixels"  # the way back through depthwise convolutions is slower in bfloat16

    def forward(self, values: torch.Tensor, codes: None, mask: torch.Tensor | None) -> torch.Tensor:
        """(B, width)."""
        half = self.half and values.dtype == torch.float32 and not (self.convolves and self.training)
        with torch.autocast(values.device.type, torch.bfloat16, enabled=half):
            return self.upper(values, mask).float()


class LowRank(nn.Module):
    """A linear map that stays as it is, and a difference of low rank that is learnt (LoRA, Hu et al. 2021)."""

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        self.linear = linear
        self.down = nn.Parameter(torch.randn(rank, linear.in_features) / math.sqrt(linear.in_features))
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Both together."""
        return self.linear(x) + x @ self.down.T @ self.up.T


def _adapt(upper: nn.Module, layers: Sequence[nn.Module], rank: int) -> None:
    """Freeze all, then give the attention of these layers something to learn."""
    for parameter in upper.parameters():
        parameter.requires_grad_(False)
    found = 0
    for layer in layers:
        for module in list(layer.modules()):
            for name, child in list(module.named_children()):
                if name in ATTENTION and isinstance(child, nn.Linear):
                    setattr(module, name, LowRank(child, rank))
                    found += 1
    if not found:
        raise Pruned("LoRA changes attention layers, and this backbone has none")


def _pace(upper: nn.Module, layers: Sequence[nn.Module], rate: float, decay: float) -> None:
    """Each parameter's share of the learning rate: the last layer's, less for each further down, least below them all."""
    for parameter in upper.parameters():
        parameter.share = rate  # type: ignore[attr-defined]
        parameter.given = not parameter.requires_grad  # type: ignore[attr-defined]
    for above, layer in enumerate(reversed(layers)):
        for parameter in layer.parameters():
            parameter.share = rate * decay**above  # type: ignore[attr-defined]
    for parameter in getattr(upper, "below", ()):
        parameter.share = rate * decay ** len(layers)  # type: ignore[attr-defined]
