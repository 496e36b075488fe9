"""EfficientNet for small images (Tan and Le 2019, arXiv 1905.11946): MBConv, width and depth scaled together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from metalearner.records import View

from .image import ImageStem, halvings
from .layers import channels_last, eight
from .mobilenet import InvertedResidual


class SqueezeExcite(nn.Module):
    """Scale each channel by what the whole image says (arXiv 1709.01507). (B, C, H, W) -> the same."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        whole = x.mean(dim=(2, 3), keepdim=True)  # (B, C, 1, 1)
        return x * torch.sigmoid(self.excite(nn.functional.silu(self.squeeze(whole))))


# (expansion, channels, blocks, kernel) of each stage at compound 0
STAGES = ((1, 16, 1, 3), (4, 24, 2, 3), (4, 40, 2, 5))


class EfficientNet(nn.Module):
    """Stem, stages of MBConv with squeeze and excite, a wide 1x1, global average.

    At compound c widths grow by 1.1^c and blocks by 1.2^c, the paper's ratios; the resolution is the data's own.
    """

    members = 1

    def __init__(self, view: View, numbers: Mapping[str, Any]) -> None:
        super().__init__()
        wider, deeper = 1.1 ** numbers["compound"], 1.2 ** numbers["compound"]
        inputs = eight(16 * wider)
        self.stem = ImageStem(view, inputs, int(numbers["resolution"]))
        strides = halvings(self.stem.size, len(STAGES))
        total = sum(math.ceil(repeats * deeper) for _, _, repeats, _ in STAGES)
        blocks: list[nn.Module] = []
        for (expansion, channels, repeats, kernel), stride in zip(STAGES, strides):
            for i in range(math.ceil(repeats * deeper)):
                shape = (inputs, inputs * expansion, eight(channels * wider))
                attend = SqueezeExcite(shape[1], max(4, inputs // 4))
                skipped = numbers["drop_path"] * len(blocks) / total
                step = stride if i == 0 else 1
                blocks.append(InvertedResidual(shape, kernel, step, nn.SiLU, attend, skipped))
                inputs = shape[2]
        self.blocks = nn.Sequential(*blocks)
        self.width = 4 * inputs
        self.widen = nn.Sequential(nn.Conv2d(inputs, self.width, 1, bias=False), nn.BatchNorm2d(self.width), nn.SiLU())
        self.drop = nn.Dropout(numbers["dropout"])
        channels_last(self)

    def forward(
        self, values: torch.Tensor, codes: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """-> (B, four times the last stage's channels)."""
        x = self.blocks(nn.functional.silu(self.stem(values, mask)))  # (B, C, h, w)
        return self.drop(self.widen(x).mean(dim=(2, 3)))
