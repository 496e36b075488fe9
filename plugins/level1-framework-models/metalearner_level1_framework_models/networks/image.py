"""What all image networks begin with: axes put in order, and a first convolution that brings the size down."""

from __future__ import annotations

import torch
from torch import nn

from metalearner.records import View

from ..views import image_axes
from .inputs import Folded


class ImageStem(nn.Module):
    """(B, axes..., C) -> (B, width, H / s, W / s): one convolution, stride s so that the sides come to `resolution`.

    The usual stem of pooling and stride is for 224 pixels; small images keep what they have (s = 1, a plain 3x3).
    Axes besides the two of space are folded into channels.
    """

    def __init__(self, view: View, width: int, resolution: int) -> None:
        super().__init__()
        axes = image_axes(view)
        assert axes is not None, "accepts() lets only views with two space axes in"
        self.folded = Folded(view, axes)
        self.size = min(self.folded.sizes)
        stride = 1
        while self.size / stride > resolution * 1.25:  # 20 pixels are near enough to 16
            stride *= 2
        self.conv = nn.Conv2d(self.folded.features, width, stride + 2, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.size = max(1, self.size // stride)

    def forward(self, values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """-> (B, width, H', W'), normed, channels last in memory: the CPU's kernels are faster that way."""
        x, _ = self.folded(values, mask)  # (B, H, W, F)
        x = self.conv(x.permute(0, 3, 1, 2))
        return self.norm(x.contiguous(memory_format=torch.channels_last))


def halvings(size: int, stages: int) -> list[int]:
    """Stride of each stage: 1 first, then 2 while at least 4 pixels a side are left.

    >>> halvings(16, 4), halvings(5, 3)
    ([1, 2, 2, 1], [1, 2, 1])
    """
    strides = [1]
    while len(strides) < stages:
        stride = 2 if size > 4 else 1
        strides.append(stride)
        size = -(-size // stride)
    return strides
