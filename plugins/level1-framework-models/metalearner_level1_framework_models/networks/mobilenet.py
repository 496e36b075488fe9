"""MobileNet for small images: inverted residuals (arXiv 1801.04381) with hard swish (arXiv 1905.02244)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from metalearner.records import View

from .image import ImageStem, halvings
from .layers import DropPath, channels_last, eight


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter each channel by k x k, narrow by 1x1; a shortcut where shapes agree.

    (B, in, H, W) -> (B, out, H / stride, W / stride).
    """

    def __init__(
        self, channels: tuple[int, int, int], kernel: int, stride: int, activation: Callable[[], nn.Module],
        attend: nn.Module | None = None, drop_path: float = 0.0,
    ) -> None:  # fmt: skip
        """`channels` are inputs, hidden, outputs; `attend` works on the hidden ones."""
        super().__init__()
        inputs, hidden, outputs = channels
        layers: list[nn.Module] = []
        if hidden != inputs:
            layers += [nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), activation()]
        layers.append(nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False))
        layers += [nn.BatchNorm2d(hidden), activation()]
        if attend is not None:
            layers.append(attend)
        last = nn.BatchNorm2d(outputs)
        layers += [nn.Conv2d(hidden, outputs, 1, bias=False), last]
        self.branch = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inputs == outputs
        if self.shortcut:
            nn.init.zeros_(last.weight)  # the block begins as its shortcut
        self.drop = DropPath(drop_path if self.shortcut else 0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in, H, W) -> (B, out, H', W')."""
        return x + self.drop(self.branch(x)) if self.shortcut else self.branch(x)


# (channels, blocks, kernel) of each stage at width factor 1
STAGES = ((24, 1, 3), (40, 2, 3), (80, 2, 5))


class MobileNet(nn.Module):
    """Stem, three stages of inverted residuals, a wide 1x1, global average."""

    members = 1

    def __init__(self, view: View, numbers: Mapping[str, Any]) -> None:
        super().__init__()
        factor, expansion = numbers["width_factor"], numbers["expansion"]
        inputs = eight(16 * factor)
        self.stem = ImageStem(view, inputs, int(numbers["resolution"]))
        blocks: list[nn.Module] = []
        for (channels, repeats, kernel), stride in zip(STAGES, halvings(self.stem.size, len(STAGES))):
            for i in range(repeats + int(numbers["extra_blocks"])):
                shape = (inputs, eight(inputs * expansion), eight(channels * factor))
                blocks.append(InvertedResidual(shape, kernel, stride if i == 0 else 1, nn.Hardswish))
                inputs = shape[2]
        self.blocks = nn.Sequential(*blocks)
        self.width = 2 * inputs
        self.widen = nn.Sequential(
            nn.Conv2d(inputs, self.width, 1, bias=False), nn.BatchNorm2d(self.width), nn.Hardswish()
        )
        self.drop = nn.Dropout(numbers["dropout"])
        channels_last(self)

    def forward(
        self, values: torch.Tensor, codes: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """-> (B, twice the last stage's channels)."""
        x = self.blocks(nn.functional.hardswish(self.stem(values, mask)))  # (B, C, h, w)
        return self.drop(self.widen(x).mean(dim=(2, 3)))
