"""Learned band-pass filters over raw samples: what each band holds, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from metalearner.records import Axis, View

from .convolution import Features
from .inputs import Folded
from .layers import BatchNorm
from .padding import Padding
from .tokenisers import Positions, Stride

# Filters are heard at every so many samples before their power is averaged.
HOP = 4
# The lowest edge and the narrowest band, as shares of the sampling rate: 40 Hz of 8 kHz.
LOWEST, NARROWEST = 0.005, 0.003
FLOOR = 1e-5


class Sinc(nn.Module):
    """Band-pass filters of two parameters each (SincNet, Ravanelli and Bengio 2018), their power averaged and its logarithm taken.

    The rest is shortened by convolutions as other series are.
    """

    window: torch.Tensor
    time: torch.Tensor

    def __init__(
        self, view: View, lead: Sequence[int], gives: View, steps: Sequence[int], numbers: Mapping[str, Any]
    ) -> None:
        """`steps` are the strides one after the other, the first that of the filters; `numbers` as those of "steps", and taps."""
        super().__init__()
        self.folded = Folded(view, lead)
        (axis,) = (view.axes[i] for i in lead)
        filters = gives.channels if len(steps) == 1 else max(8, gives.channels // 2)
        taps = min(numbers["taps"], 2 * axis.size - 1) | 1
        edges = _mel(filters + 1)
        self.low = nn.Parameter(edges[:-1] - LOWEST)
        self.wide = nn.Parameter((edges[1:] - edges[:-1] - NARROWEST).clamp(min=1e-4))
        time = torch.arange(taps) - taps // 2
        self.register_buffer("time", time.float(), persistent=False)
        self.register_buffer("window", torch.hamming_window(taps, periodic=False), persistent=False)
        self.step = steps[0]
        self.hop = math.gcd(HOP, self.step)
        reached = View((Axis(axis.kind, -(-axis.size // self.step), axis.ragged),), filters)
        self.norm, self.pad, self.before = BatchNorm(filters), Padding(reached), Padding(View((axis,), 1))
        layers = []
        for i, stride in enumerate(steps[1:], 1):
            last = i == len(steps) - 1
            left = View(
                (Axis(axis.kind, -(-reached.axes[0].size // stride), axis.ragged),), gives.channels if last else filters
            )
            layers.append(Stride(reached, left, (stride,), numbers))
            reached = left
        self.layers = nn.ModuleList(layers)
        self.place = Positions(gives, numbers["position"])

    def forward(self, values: torch.Tensor, codes: None, mask: torch.Tensor | None) -> Features:
        """(B, T, 1) -> (B, steps, width), mask."""
        x, mask = self.folded(values, mask)
        x = self.before.hide(x, mask).transpose(1, 2).unsqueeze(2)  # (B, 1, 1, T)
        taps = len(self.time)
        heard = functional.conv2d(x, self._filters()[:, None, None], stride=(1, self.hop), padding=(0, taps // 2))
        across = self.step // self.hop
        power = functional.avg_pool2d(heard.square(), (1, across), (1, across), ceil_mode=True)
        x = (power + FLOOR).log().squeeze(2).transpose(1, 2)  # (B, steps, filters)
        if mask is not None:
            mask = mask[:, :: self.step]
        x = self.norm(x, self.pad.there(mask))
        for layer in self.layers:
            x, mask = layer(x, mask)
        return self.place(x), mask

    def _filters(self) -> torch.Tensor:
        """(filters, taps): the difference of two low passes, under a window."""
        low = LOWEST + self.low.abs()
        high = (low + NARROWEST + self.wide.abs()).clamp(max=0.5)
        return (_lowpass(high, self.time) - _lowpass(low, self.time)) * self.window


def _lowpass(edge: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """Edges (filters,) as shares of the rate -> taps (filters, taps)."""
    return 2 * edge[:, None] * torch.sinc(2 * edge[:, None] * time)


def _mel(edges: int) -> torch.Tensor:
    """Edges evenly spaced in mel between `LOWEST` and half the rate, as if it were 16 kHz, as shares of the rate."""
    low, high = (2595 * math.log10(1 + share * 16_000 / 700) for share in (LOWEST, 0.5))
    return 700 * (10 ** (torch.linspace(low, high, edges) / 2595) - 1) / 16_000
