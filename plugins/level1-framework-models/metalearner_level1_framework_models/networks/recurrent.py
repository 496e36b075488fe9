"""GRU (Cho et al. 2014, arXiv 1406.1078) and LSTM (Hochreiter and Schmidhuber 1997) behind a convolutional stem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from metalearner.records import View

from .sequence import Series, Shorten


class Recurrent(nn.Module):
    """Stem shortens to at most `steps`, then a GRU or LSTM each way; mean over time beside the last state.

    The backward one reads each series turned round within its own length, so that padding always comes last and
    never before the data.
    """

    members = 1

    def __init__(self, view: View, numbers: Mapping[str, Any]) -> None:
        super().__init__()
        width, layers = int(numbers["width"]), int(numbers["layers"])
        self.series = Series(view)
        self.shorten = Shorten(self.series.features, self.series.length, width, int(numbers["steps"]))
        cell = {"gru": nn.GRU, "lstm": nn.LSTM}[numbers["cell"]]
        dropout = numbers["dropout"] if layers > 1 else 0.0
        self.forth = cell(width, width, layers, batch_first=True, dropout=dropout)
        self.back = cell(width, width, layers, batch_first=True, dropout=dropout) if numbers["bidirectional"] else None
        if numbers["cell"] == "lstm":
            remember(self)
        self.drop = nn.Dropout(numbers["dropout"])
        self.width = 2 * width * (2 if self.back is not None else 1)

    def forward(
        self, values: torch.Tensor, codes: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """-> (B, 2 x width), twice that when both ways."""
        x, mask = self.shorten(*self.series(values, mask))
        x = x.squeeze(2).transpose(1, 2)  # (B, T, width)
        steps = torch.arange(x.shape[1], device=x.device)  # (T,)
        if mask is None:
            last = torch.zeros_like(x[:, 0, :1], dtype=torch.long) + (x.shape[1] - 1)  # (B, 1)
        else:
            last = (steps * mask).amax(dim=1, keepdim=True)
        found = summary(self.forth(x)[0], last, mask)
        if self.back is not None:
            turned = torch.where(steps <= last, last - steps, steps)  # (B, T): last .. 0, then the padding
            x = x.gather(1, turned.unsqueeze(2).expand(-1, -1, x.shape[2]))
            found += summary(self.back(x)[0], last, None if mask is None else mask.gather(1, turned))
        return self.drop(torch.cat(found, dim=1))


def summary(states: torch.Tensor, last: torch.Tensor, mask: torch.Tensor | None) -> list[torch.Tensor]:
    """Mean of the states and the last one: (B, T, H), (B, 1), (B, T) -> two of (B, H)."""
    final = states.gather(1, last.unsqueeze(2).expand(-1, -1, states.shape[2])).squeeze(1)
    if mask is None:
        return [states.mean(dim=1), final]
    there = mask.unsqueeze(2)
    return [(states * there).sum(dim=1) / there.sum(dim=1).clamp(min=1), final]


def remember(module: nn.Module) -> None:
    """Begin with open forget gates (bias 1), without which an LSTM forgets within a few steps (Jozefowicz et al. 2015)."""
    for name, parameter in module.named_parameters():
        if "bias_ih" in name:
            quarter = len(parameter) // 4
            nn.init.ones_(parameter.data[quarter : 2 * quarter])
