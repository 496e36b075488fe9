"""Image backbones: EfficientNet in pieces, and those of transformers as a whole."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

from metalearner.arrays import Tensor
from metalearner.kinds import Pretrained

from .lists import before, layers_of, train_only

MIDDLE = 127.5  # of a byte: EfficientNet-Lite takes pixels between -1 and 1


class Convolutional(Pretrained):
    """EfficientNet in pieces."""

    def __init__(self, net: Any) -> None:
        self.net = net.eval()

    def prepare(self, raw: Sequence[np.ndarray], numbers: Mapping[str, Any]) -> Tensor:
        """Bytes (n, H, W, 1 or 3) to (n, H, W, 3) between -1 and 1."""
        pixels = coloured(np.asarray(raw[0], np.float32))
        return Tensor(pixels / MIDDLE - 1)

    def lower(self, tuned: int, numbers: Mapping[str, Any]) -> nn.Module:
        """Stem and first blocks; pictures as they are where all blocks are tuned."""
        blocks = self.net._blocks
        if tuned >= len(blocks):
            return Asis()
        return Below(self.net, len(blocks) - tuned, int(numbers["size"]), whole=not tuned)

    def upper(self, tuned: int, numbers: Mapping[str, Any]) -> nn.Module:
        """The last blocks and what pools them."""
        return Above(copy.deepcopy(self.net), tuned, int(numbers["size"]))


class Asis(nn.Module):
    """Hands on what comes in."""

    untouched = True

    def forward(self, values: torch.Tensor, mask: None = None) -> tuple[torch.Tensor, None]:
        """The same."""
        return values, None


class Below(nn.Module):
    """Pictures (B, H, W, 3) to what comes out of the first blocks (B, h, w, C), or of the whole (B, width)."""

    def __init__(self, net: Any, blocks: int, size: int, whole: bool) -> None:
        super().__init__()
        self.net, self.blocks, self.size, self.whole = net, blocks, size, whole

    def forward(self, values: torch.Tensor, mask: None = None) -> tuple[torch.Tensor, None]:
        """Resized, then layer by layer."""
        x = stem(self.net, resized(values, self.size))
        for block in self.net._blocks[: self.blocks]:
            x = block(x)
        return (pooled(self.net, x) if self.whole else x.permute(0, 2, 3, 1)), None


class Above(nn.Module):
    """The rest of the way to features (B, width); what normalises batches keeps what it learnt on many pictures."""

    def __init__(self, net: Any, tuned: int, size: int) -> None:
        super().__init__()
        self.whole, self.size = tuned >= len(net._blocks), size
        self.layers = net._blocks[len(net._blocks) - tuned :]
        net._blocks, net._fc = nn.ModuleList(), nn.Identity()
        if not self.whole:
            net._conv_stem, net._bn0 = nn.Identity(), nn.Identity()
        self.below = [*net._conv_stem.parameters(), *net._bn0.parameters()]
        self.ends = net

    def train(self, mode: bool = True) -> Above:
        """As ever, but for the batch norms."""
        super().train(mode)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()
        return self

    def forward(self, values: torch.Tensor, mask: None = None) -> torch.Tensor:
        """(B, width)."""
        x = stem(self.ends, resized(values, self.size)) if self.whole else values.permute(0, 3, 1, 2)
        for block in self.layers:
            x = block(x)
        return pooled(self.ends, x)


def stem(net: Any, x: torch.Tensor) -> torch.Tensor:
    """The first convolution."""
    return net._swish(net._bn0(net._conv_stem(x)))


def pooled(net: Any, x: torch.Tensor) -> torch.Tensor:
    """The last convolution, averaged over the picture."""
    return net._swish(net._bn1(net._conv_head(x))).mean((2, 3))


def resized(values: torch.Tensor, size: int) -> torch.Tensor:
    """Pictures (B, H, W, C) as (B, C, size, size)."""
    x = values.permute(0, 3, 1, 2)
    if x.shape[2:] == (size, size):
        return x
    return interpolate(x, (size, size), mode="bilinear", align_corners=False, antialias=x.shape[2] > size)


def coloured(pixels: np.ndarray) -> np.ndarray:
    """Grey pictures with three equal channels."""
    return np.repeat(pixels, 3, axis=3) if pixels.shape[3] == 1 else pixels


class Pictures(Pretrained):
    """An image backbone of transformers."""

    def __init__(self, net: nn.Module, mean: np.ndarray, std: np.ndarray) -> None:
        self.net, self.mean, self.std = net.eval(), mean, std

    def prepare(self, raw: Sequence[np.ndarray], numbers: Mapping[str, Any]) -> Tensor:
        """Bytes (n, H, W, 1 or 3) to (n, H, W, 3) as it was trained."""
        return Tensor((coloured(np.asarray(raw[0], np.float32)) - self.mean) / self.std)

    def lower(self, tuned: int, numbers: Mapping[str, Any]) -> nn.Module:
        """Everything or nothing."""
        return Asis() if tuned else Seen(self.net, int(numbers["size"]))

    def upper(self, tuned: int, numbers: Mapping[str, Any]) -> nn.Module:
        """The whole, of which the last layers are trained."""
        return Features(Seen(copy.deepcopy(self.net), int(numbers["size"])), tuned)


class Seen(nn.Module):
    """Pictures (B, H, W, 3) to features (B, width): the mean over places of the last states."""

    def __init__(self, net: Any, size: int) -> None:
        super().__init__()
        self.net, self.size = net, size

    def forward(self, values: torch.Tensor, mask: None = None) -> tuple[torch.Tensor, None]:
        """Of a transformer (B, T, C) or a convolutional network (B, C, h, w)."""
        states = self.net(pixel_values=resized(values, self.size)).last_hidden_state
        return (states.mean(1) if states.dim() == 3 else states.mean((2, 3))), None


class Features(nn.Module):
    """What `Seen` gives, the last layers trained."""

    def __init__(self, seen: Seen, tuned: int) -> None:
        super().__init__()
        self.seen = seen
        self.layers = [*layers_of(seen.net)[-tuned:]]  # a plain list: they are in `seen` already
        self.below = before(seen.net, self.layers)
        train_only(seen.net, self.layers)

    def forward(self, values: torch.Tensor, mask: None = None) -> torch.Tensor:
        """(B, width)."""
        return self.seen(values)[0]
