"""Deep sets (Zaheer et al. 2017, arXiv 1703.06114): the same network for each element, pooled without order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from metalearner.records import View

from ..views import set_axis
from .inputs import Folded
from .layers import BatchNorm


class DeepSets(nn.Module):
    """Elements (B, N, F) -> each (B, N, width) -> mean and maximum (B, 2 width) -> (B, width)."""

    members = 1

    def __init__(self, view: View, numbers: Mapping[str, Any]) -> None:
        super().__init__()
        axis = set_axis(view)
        assert axis is not None, "accepts() lets only views with one set axis in"
        self.folded = Folded(view, [axis])
        self.width = width = int(numbers["width"])
        layers: list[nn.Module] = []
        for i in range(int(numbers["depth"])):
            layers += [nn.Linear(self.folded.features if i == 0 else width, width), nn.LayerNorm(width), nn.ReLU()]
        self.each = nn.Sequential(*layers)
        self.all = nn.Sequential(
            nn.Dropout(numbers["dropout"]), nn.Linear(2 * width, width), BatchNorm(width), nn.ReLU()
        )

    def forward(
        self, values: torch.Tensor, codes: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """-> (B, width)."""
        x, mask = self.folded(values, mask)  # (B, N, F)
        x = self.each(x)  # (B, N, width), never negative
        if mask is None:
            return self.all(torch.cat([x.mean(dim=1), x.amax(dim=1)], dim=1))
        there = mask.unsqueeze(2)
        x = x * there  # what is padding cannot win the maximum, for nothing is below 0
        mean = x.sum(dim=1) / there.sum(dim=1).clamp(min=1)
        return self.all(torch.cat([mean, x.amax(dim=1)], dim=1))
