"""ResNet for small images (He et al. 2015, arXiv 1512.03385; pre-activation: arXiv 1603.05027)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from metalearner.records import View

from .image import ImageStem, halvings
from .layers import DropPath, channels_last


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut. (B, in, H, W) -> (B, out, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int, first: bool, drop_path: float) -> None:
        """`first` normalises before the convolutions and leaves the sum untouched (version 2)."""
        super().__init__()
        self.first, self.stride = first, stride
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(inputs if first else outputs)
        self.norm2 = nn.BatchNorm2d(outputs)
        if not first:
            nn.init.zeros_(self.norm2.weight)  # every block begins as its shortcut
        self.project = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()
        self.drop = DropPath(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The shortcut is averaged where the block strides (ResNet-D, arXiv 1812.01187)."""
        # Averaging windows that hang over an odd edge: divide by what is inside.
        short = avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False) if self.stride == 2 else x
        if self.first:
            x = self.conv2(torch.relu(self.norm2(self.conv1(torch.relu(self.norm1(x))))))
            return self.project(short) + self.drop(x)
        x = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        return torch.relu(self.project(short) + self.drop(x))


class ResNet(nn.Module):
    """Stem, stages of basic blocks that double in width and halve in size, global average."""

    members = 1

    def __init__(self, view: View, numbers: Mapping[str, Any]) -> None:
        super().__init__()
        width, stages, depth = int(numbers["width"]), int(numbers["stages"]), int(numbers["depth"])
        first = numbers["norm"] == "before"
        self.stem = ImageStem(view, width, int(numbers["resolution"]))
        blocks: list[nn.Module] = []
        inputs = width
        for stage, stride in enumerate(halvings(self.stem.size, stages)):
            for i in range(depth):
                outputs = width * 2**stage
                skipped = numbers["drop_path"] * len(blocks) / max(1, stages * depth - 1)  # deeper is likelier
                blocks.append(BasicBlock(inputs, outputs, stride if i == 0 else 1, first, skipped))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(inputs) if first else nn.Identity()
        self.drop = nn.Dropout(numbers["dropout"])
        self.width = inputs
        channels_last(self)

    def forward(
        self, values: torch.Tensor, codes: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """-> (B, width x 2^(stages - 1))."""
        x = self.blocks(torch.relu(self.stem(values, mask)))  # (B, C, h, w)
        return self.drop(torch.relu(self.norm(x)).mean(dim=(2, 3)))
