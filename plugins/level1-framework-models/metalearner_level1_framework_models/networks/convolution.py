"""Convolutions along the ordered axes of features, and the blocks made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from metalearner.records import View

from ..grammar.bounds import odd
from ..views import ordered_axes
from .layers import ACTIVATIONS, BatchNorm, DropPath, first, last
from .padding import Along, Padding

CONVOLVE = {1: functional.conv2d, 2: functional.conv2d, 3: functional.conv3d}
Features = tuple[torch.Tensor, torch.Tensor | None]


class Convolution(nn.Module):
    """A convolution along all ordered axes. (B, axes..., C) -> (B, axes' ..., outputs), sizes ceil(n / stride)."""

    def __init__(
        self, view: View, outputs: int, kernel: int | Sequence[int], stride: Sequence[int] | None = None,
        dilation: int = 1, groups: int = 1, bias: bool = False,
    ) -> None:  # fmt: skip
        """`kernel` and `stride` are those along each ordered axis; an axis shorter than half the kernel gets a shorter one."""
        super().__init__()
        axes = ordered_axes(view)
        sizes = [view.axes[i].size for i in axes]
        wanted = [kernel] * len(axes) if isinstance(kernel, int) else list(kernel)
        self.stride = list(stride or [1] * len(axes))
        if len(axes) == 3 and max(self.stride) > 1:  # the backward pass of longer ones overruns its memory (torch 2.13)
            wanted = [min(k, max(5, s + 1)) for k, s in zip(wanted, self.stride)]
        kernels = [min(odd(k), 2 * n - 1) for k, n in zip(wanted, sizes)]
        self.dilation = [dilation if n > dilation else 1 for n in sizes]
        self.padding = [d * (k // 2) for k, d in zip(kernels, self.dilation)]
        self.along, self.pad, self.groups = Along(view, axes), Padding(view), groups
        self.convolve = CONVOLVE[len(axes)]
        self.thin = len(axes) == 1
        self.masked = dict(zip(axes, self.stride)).get(self.pad.axis, 1)
        bound = 1 / math.sqrt(view.channels // groups * math.prod(kernels))
        shape = (outputs, view.channels // groups, *([1] if self.thin else []), *kernels)
        weight = torch.empty(shape).uniform_(-bound, bound)
        if weight.dim() == 4:  # the CPU's kernels are faster that way
            weight = weight.contiguous(memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        if self.thin:
            self.stride, self.padding, self.dilation = [1, *self.stride], [0, *self.padding], [1, *self.dilation]

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """-> features and the mask of what is left."""
        x = self.along.fold(self.pad.hide(x, mask))
        rank = x.dim()
        x = self.convolve(first(x), self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        if mask is not None and self.masked > 1:
            mask = mask[:, :: self.masked]
        return self.along.back(last(x, rank)), mask


class Pointwise(nn.Linear):
    """A linear layer over channels, without bias: norm follows. (B, axes..., C) -> (B, axes..., outputs)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False) -> None:
        super().__init__(inputs, outputs, bias)


class Normed(nn.Module):
    """Convolution and batch norm."""

    def __init__(self, view: View, gives: View, kernel: int | Sequence[int], groups: int = 1) -> None:
        """Strides follow from what comes out."""
        super().__init__()
        self.conv = Convolution(view, gives.channels, kernel, halving(view, gives), groups=groups)
        self.norm, self.pad = BatchNorm(gives.channels), Padding(gives)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """-> normed features and the mask of what is left."""
        x, mask = self.conv(x, mask)
        return self.norm(x, self.pad.there(mask)), mask


def halving(view: View, gives: View) -> list[int]:
    """The stride along each ordered axis of one view that leads to another."""
    return [1 if view.axes[i].size == gives.axes[i].size else 2 for i in ordered_axes(view)]


class Strided(Normed):
    """A convolution of 3 that halves, then batch norm."""

    def __init__(self, view: View, gives: View) -> None:
        super().__init__(view, gives, 3)


class Average(nn.Module):
    """The mean of every two neighbours, then a linear layer over channels. Odd edges divide by what is inside."""

    def __init__(self, view: View, gives: View, bias: bool) -> None:
        super().__init__()
        axes = ordered_axes(view)
        stride = halving(view, gives)
        self.along, self.pad = Along(view, axes), Padding(view)
        self.masked = dict(zip(axes, stride)).get(self.pad.axis, 1)
        self.window = [1, *stride] if len(axes) == 1 else stride
        self.pool = functional.avg_pool3d if len(axes) == 3 else functional.avg_pool2d
        self.idle = all(s == 1 for s in stride)
        same = view.channels == gives.channels and not bias
        self.project = nn.Identity() if same else Pointwise(view.channels, gives.channels, bias)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """-> features and the mask of what is left."""
        if not self.idle:
            shares = None if mask is None or self.masked == 1 else self._mean(self._ones(x, mask))
            x = self._mean(self.pad.hide(x, mask))
            if shares is not None and mask is not None:  # a window half over the end of the data
                x, mask = x / shares.clamp(min=0.25), mask[:, :: self.masked]
        return self.project(x), mask

    def _ones(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        there = mask.unflatten(1, self.pad.shape).to(x.dtype)
        return there.expand_as(x[..., :1])

    def _mean(self, x: torch.Tensor) -> torch.Tensor:
        x = self.along.fold(x)
        rank = x.dim()
        x = self.pool(first(x), self.window, self.window, ceil_mode=True, count_include_pad=False)
        return self.along.back(last(x, rank))


class Basic(nn.Module):
    """Two convolutions beside a shortcut, which is averaged where the block strides and projected where it widens."""

    def __init__(self, view: View, gives: View, numbers: Mapping[str, Any]) -> None:
        """`numbers` holds kernel, norm, drop_path."""
        super().__init__()
        self.first = numbers["norm"] == "before"
        self.conv1 = Convolution(view, gives.channels, numbers["kernel"], halving(view, gives))
        self.conv2 = Convolution(gives, gives.channels, 3)
        self.norm1 = BatchNorm(view.channels if self.first else gives.channels)
        self.norm2 = BatchNorm(gives.channels)
        if not self.first:
            nn.init.zeros_(self.norm2.weight)  # every block begins as its shortcut
        self.short = Average(view, gives, bias=False)
        self.drop = DropPath(numbers["drop_path"])
        self.before, self.after = Padding(view), Padding(gives)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """-> features and the mask of what is left."""
        short, left = self.short(x, mask)
        there = self.after.there(left)
        if self.first:
            x, _ = self.conv1(torch.relu(self.norm1(x, self.before.there(mask))), mask)
            x, _ = self.conv2(torch.relu(self.norm2(x, there)), left)
            return short + self.drop(x), left
        x, _ = self.conv1(x, mask)
        x, _ = self.conv2(torch.relu(self.norm1(x, there)), left)
        return torch.relu(short + self.drop(self.norm2(x, there))), left


class SqueezeExcite(nn.Module):
    """Scale each channel by what the whole sample says (arXiv 1709.01507). Keeps the shape."""

    def __init__(self, view: View, squeezed: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Linear(view.channels, squeezed), nn.Linear(squeezed, view.channels)
        self.axes, self.pad = tuple(range(1, 1 + len(view.axes))), Padding(view)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """(B, axes..., C) -> the same."""
        whole = mean(x, self.pad.there(mask), self.axes)
        return x * torch.sigmoid(self.excite(functional.silu(self.squeeze(whole))))


def mean(x: torch.Tensor, there: torch.Tensor | None, axes: tuple[int, ...]) -> torch.Tensor:
    """Mean over the axes of what is there; the axes stay with size 1."""
    if there is None:
        return x.mean(dim=axes, keepdim=True)
    weight = there.to(x.dtype).expand_as(x[..., :1])
    return (x * weight).sum(dim=axes, keepdim=True) / weight.sum(dim=axes, keepdim=True).clamp(min=1)


class Inverted(nn.Module):
    """Widen by a linear layer, filter each channel, narrow again; a shortcut where shapes agree."""

    def __init__(self, view: View, gives: View, numbers: Mapping[str, Any]) -> None:
        """`numbers` holds kernel, expansion, squeeze, activation and, where there is a shortcut, drop_path."""
        super().__init__()
        hidden = max(8, view.channels * numbers["expansion"])
        inside, filtered = View(view.axes, hidden), View(gives.axes, hidden)
        self.act = ACTIVATIONS[numbers["activation"]]()
        self.widen = Pointwise(view.channels, hidden) if hidden != view.channels else None
        self.norm = BatchNorm(hidden) if self.widen is not None else None
        self.filter = Normed(inside, filtered, numbers["kernel"], groups=hidden)
        self.squeeze = SqueezeExcite(filtered, max(4, view.channels // 4)) if numbers["squeeze"] else None
        self.narrow, self.last = Pointwise(hidden, gives.channels), BatchNorm(gives.channels)
        self.before, self.after = Padding(view), Padding(gives)
        self.drop = DropPath(numbers.get("drop_path", 0.0)) if view == gives else None
        if self.drop is not None:
            nn.init.zeros_(self.last.weight)  # the block begins as its shortcut

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """-> features and the mask of what is left."""
        short = x
        if self.widen is not None and self.norm is not None:
            x = self.act(self.norm(self.widen(x), self.before.there(mask)))
        x, mask = self.filter(x, mask)
        x = self.act(x)
        if self.squeeze is not None:
            x = self.squeeze(x, mask)
        x = self.last(self.narrow(x), self.after.there(mask))
        return (short + self.drop(x) if self.drop is not None else x), mask


class Inception(nn.Module):
    """Bottleneck, three kernels, and a pooled branch, joined and normed. Keeps the shape."""

    def __init__(self, view: View, kernel: int) -> None:
        """The longest of three kernels; the others are half and a quarter."""
        super().__init__()
        axes = ordered_axes(view)
        self.along, self.pad = Along(view, axes), Padding(view)
        quarter = -(-view.channels // 4)
        longest = kernel if len(axes) == 1 else min(kernel, 11 if len(axes) == 2 else 5)
        longest = min(longest, max(3, max(view.axes[i].size for i in axes) // 2))
        narrow = View(view.axes, quarter)
        self.bottleneck = Pointwise(view.channels, quarter)
        self.scales = nn.ModuleList(Convolution(narrow, quarter, odd(longest // 2**i)) for i in range(3))
        self.pooled = Pointwise(view.channels, view.channels - 3 * quarter if view.channels > 3 * quarter else quarter)
        self.thin, self.rank = len(axes) == 1, len(axes)
        joined = 3 * quarter + self.pooled.out_features
        self.fit = nn.Identity() if joined == view.channels else Pointwise(joined, view.channels)
        self.norm = BatchNorm(view.channels)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """-> the same shape, normed, before any activation."""
        x = self.pad.hide(x, mask)
        narrow = self.bottleneck(x)  # without bias: 0 stays 0
        found = [scale(narrow, None)[0] for scale in self.scales]
        x = self.fit(torch.cat([*found, self.pooled(self._highest(x))], dim=-1))
        return self.norm(x, self.pad.there(mask)), mask

    def _highest(self, x: torch.Tensor) -> torch.Tensor:
        """The maximum of three neighbours."""
        x = self.along.fold(x)
        rank = x.dim()
        kernel = [1, 3] if self.thin else [3] * self.rank
        pool = functional.max_pool3d if self.rank == 3 else functional.max_pool2d
        x = pool(first(x), kernel, 1, [k // 2 for k in kernel])
        return self.along.back(last(x, rank))
