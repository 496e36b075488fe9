"""ResNet for series (Wang et al. 2017, arXiv 1611.06455), with strides in place of full length throughout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from metalearner.records import View

from .layers import channels_last
from .sequence import Series, Shorten, average, convolution, hidden, strided


class Block1d(nn.Module):
    """Two convolutions beside a shortcut. (B, in, 1, T) -> (B, out, 1, T / stride)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = convolution(inputs, outputs, kernel, stride)
        self.conv2 = convolution(outputs, outputs, 3)
        nn.init.zeros_(self.conv2.get_parameter("1.weight"))  # the block begins as its shortcut
        self.project = convolution(inputs, outputs, 1, stride) if inputs != outputs or stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """-> (B, out, 1, T'), mask (B, T') or None."""
        mask = strided(mask, self.stride)
        inner = hidden(torch.relu(self.conv1(x)), mask)
        return hidden(torch.relu(self.project(x) + self.conv2(inner)), mask), mask


class ResNet1d(nn.Module):
    """Stem, stages that double in width and halve in length, mean over time."""

    members = 1

    def __init__(self, view: View, numbers: Mapping[str, Any]) -> None:
        super().__init__()
        width, stages = int(numbers["width"]), int(numbers["stages"])
        self.series = Series(view)
        self.shorten = Shorten(self.series.features, self.series.length, width, int(numbers["length"]))
        blocks: list[nn.Module] = []
        inputs, length = width, self.shorten.length
        for stage in range(stages):
            outputs = width * min(2**stage, 4)
            for i in range(int(numbers["depth"])):
                stride = 2 if i == 0 and stage > 0 and length > 8 else 1
                blocks.append(Block1d(inputs, outputs, int(numbers["kernel"]), stride))
                inputs, length = outputs, -(-length // stride)
        self.blocks = nn.ModuleList(blocks)
        self.drop = nn.Dropout(numbers["dropout"])
        self.width = inputs
        channels_last(self)

    def forward(
        self, values: torch.Tensor, codes: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """-> (B, channels of the last stage)."""
        x, mask = self.shorten(*self.series(values, mask))
        for block in self.blocks:
            x, mask = block(x, mask)  # (B, C, 1, T)
        return self.drop(average(x, mask))  # a maximum beside the mean overfitted noisy series
