"""InceptionTime (Ismail Fawaz et al. 2019, arXiv 1909.04939): three kernel lengths side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from metalearner.records import View

from .layers import channels_last
from .sequence import Series, Shorten, average, convolution, hidden


class Inception(nn.Module):
    """Bottleneck, three kernels, and a pooled branch, joined. (B, in, 1, T) -> (B, 4 width, 1, T)."""

    def __init__(self, inputs: int, width: int, kernels: tuple[int, int, int]) -> None:
        super().__init__()
        self.bottleneck = nn.Conv2d(inputs, width, 1, bias=False) if inputs > 1 else nn.Identity()
        narrow = width if inputs > 1 else inputs
        self.scales = nn.ModuleList(nn.Conv2d(narrow, width, (1, k), padding=(0, k // 2), bias=False) for k in kernels)
        self.pooled = nn.Sequential(
            nn.MaxPool2d((1, 3), stride=1, padding=(0, 1)), nn.Conv2d(inputs, width, 1, bias=False)
        )
        self.norm = nn.BatchNorm2d(4 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in, 1, T) -> (B, 4 width, 1, T), normed, before the activation."""
        narrow = self.bottleneck(x)
        return self.norm(torch.cat([*(scale(narrow) for scale in self.scales), self.pooled(x)], dim=1))


class InceptionTime(nn.Module):
    """Inception blocks with a shortcut around every three, mean over time."""

    members = 1

    def __init__(self, view: View, numbers: Mapping[str, Any]) -> None:
        super().__init__()
        width, longest = int(numbers["width"]), int(numbers["length"])
        self.series = Series(view)
        features, length = self.series.features, self.series.length
        self.shorten = Shorten(features, length, 2 * width, longest) if length > longest else None
        if self.shorten is not None:
            features, length = 2 * width, self.shorten.length
        kernel = min(int(numbers["kernel"]), max(3, length // 2))
        kernels = tuple(2 * (kernel // 2**i // 2) + 1 for i in range(3))  # k, k / 2, k / 4, all odd
        self.blocks, self.shortcuts = nn.ModuleList(), nn.ModuleList()
        inputs = around = features
        for i in range(int(numbers["depth"])):
            self.blocks.append(Inception(inputs, width, kernels))  # type: ignore[arg-type]
            inputs = 4 * width
            if i % 3 == 2:
                self.shortcuts.append(convolution(around, inputs, 1))
                around = inputs
        self.drop = nn.Dropout(numbers["dropout"])
        self.width = inputs
        channels_last(self)

    def forward(
        self, values: torch.Tensor, codes: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """-> (B, 4 x width)."""
        x, mask = self.series(values, mask)
        if self.shorten is not None:
            x, mask = self.shorten(x, mask)
        before = x
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i % 3 == 2:
                x = x + self.shortcuts[i // 3](before)
            x = hidden(torch.relu(x), mask)
            before = x if i % 3 == 2 else before
        return self.drop(average(x, mask))
