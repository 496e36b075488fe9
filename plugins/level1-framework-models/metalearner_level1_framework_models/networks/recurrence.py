"""Recurrent mixers: GRU, LSTM, and a linear recurrence that needs no loop over time."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from metalearner.records import View

from ..views import sequence_axis
from .convolution import Features
from .padding import Along, Padding


class Walk(nn.Module):
    """What recurrent mixers share: the ordered axis put last, both directions, each with half of the channels."""

    def __init__(self, view: View, both: bool) -> None:
        super().__init__()
        axis = sequence_axis(view)
        assert axis is not None, "accepts() lets only views with one ordered axis in"
        self.along, self.pad = Along(view, (axis,)), Padding(view)
        self.widths = [view.channels - view.channels // 2, view.channels // 2] if both else [view.channels]

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> the same shape."""
        folded = self.along.fold(self.pad.hide(x, mask))  # (B', T, C)
        return self.along.back(self.walk(folded, self.along.mask(mask))), mask

    def walk(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """(B, T, C), mask (B, T) or None -> (B, T, C)."""
        raise NotImplementedError


class Recurrent(Walk):
    """GRU (Cho et al. 2014, arXiv 1406.1078) or LSTM (Hochreiter and Schmidhuber 1997).

    The backward one reads each series turned round within its own length, so that padding always comes last and
    never before the data.
    """

    stackable = False

    def __init__(self, view: View, cell: str, both: bool) -> None:
        super().__init__(view, both)
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
        self.cells = nn.ModuleList(kind(view.channels, width, batch_first=True) for width in self.widths)
        if cell == "lstm":
            remember(self)

    def walk(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """(B, T, C), mask (B, T) or None -> (B, T, C)."""
        forth = self.cells[0](x)[0]
        if len(self.cells) == 1:
            return forth
        if mask is None:
            return torch.cat([forth, self.cells[1](x.flip(1))[0].flip(1)], dim=2)
        steps = torch.arange(x.shape[1], device=x.device)  # (T,)
        ends = (steps * mask).amax(dim=1, keepdim=True)  # (B, 1)
        turned = torch.where(steps <= ends, ends - steps, steps)  # (B, T): last .. 0, then the padding
        back = self.cells[1](reordered(x, turned))[0]
        return torch.cat([forth, reordered(back, turned)], dim=2)


def reordered(x: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Steps of each row in its own order: (B, T, C), (B, T) -> (B, T, C)."""
    return x.gather(1, order.unsqueeze(2).expand_as(x))


def remember(module: nn.Module) -> None:
    """Begin with open forget gates (bias 1), without which an LSTM forgets within a few steps (Jozefowicz et al. 2015)."""
    for name, parameter in module.named_parameters():
        if "bias_ih" in name:
            quarter = len(parameter) // 4
            nn.init.ones_(parameter.data[quarter : 2 * quarter])


class LinearRecurrence(Walk):
    """h = a h + (1 - a) u with a gate a and a value u that read the step alone; then an output gate.

    No bias in the value: what is hidden adds nothing, so the backward walk starts empty at the end of the data.
    """

    def __init__(self, view: View, both: bool) -> None:
        super().__init__(view, both)
        c = view.channels
        self.value, self.keep = nn.Linear(c, c, bias=False), nn.Linear(c, c)
        self.gate, self.out = nn.Linear(c, c), nn.Linear(c, c)
        # Memories of 2 to 64 steps to begin with.
        spans = torch.logspace(1, 6, c, base=2.0)[torch.randperm(c)]
        nn.init.normal_(self.keep.weight, std=0.5 / c**0.5)
        self.keep.bias.data = torch.log(spans - 1 + 1e-3)

    def walk(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """(B, T, C), mask (B, T) or None -> (B, T, C)."""
        keep = torch.sigmoid(self.keep(x))
        add = (1 - keep) * self.value(x)
        states = scan(keep[..., : self.widths[0]], add[..., : self.widths[0]])
        if len(self.widths) == 2:
            back = scan(keep[..., self.widths[0] :].flip(1), add[..., self.widths[0] :].flip(1)).flip(1)
            states = torch.cat([states, back], dim=2)
        return self.out(states * functional.silu(self.gate(x)))


def scan(keep: torch.Tensor, add: torch.Tensor) -> torch.Tensor:
    """h[t] = keep[t] h[t - 1] + add[t] in log2(T) passes (Hillis and Steele 1986). (B, T, C) each -> (B, T, C).

    >>> scan(torch.full((1, 4, 1), 0.5), torch.ones(1, 4, 1)).flatten().tolist()
    [1.0, 1.5, 1.75, 1.875]
    """
    step, length = 1, add.shape[1]
    while step < length:
        add = add + keep * functional.pad(add[:, :-step], (0, 0, step, 0))
        if 2 * step < length:
            keep = keep * functional.pad(keep[:, :-step], (0, 0, step, 0))
        step *= 2
    return add
