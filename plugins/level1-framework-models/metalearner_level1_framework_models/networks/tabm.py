"""A tabular network in the manner of TabM (arXiv 2410.24210) and RealMLP (arXiv 2407.04491).

Numbers are embedded one by one, a learned scale says how much each input counts, and one perceptron serves as
many: its members share the weight matrices and differ by vectors that scale inputs and outputs (BatchEnsemble,
Wen et al. 2020, arXiv 2002.06715).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from metalearner.records import View

from .inputs import TableInput
from .layers import ACTIVATIONS, Dropout, Parametric

BASIS = 16  # frequencies or pieces a number is spread over
WIDEST = 2048  # of all number embeddings together
# The scale learns this much faster than the rest: Adam's step does not depend on a gradient's size, so a factor
# on the parameter is a factor on its rate (RealMLP).
SCALE_RATE = 6.0


class NumberEmbedding(nn.Module):
    """Each of p numbers to d: itself, beside d - 1 learned mixtures of a basis. (B, p) -> (B, p d).

    "periodic": cosines of learned frequency and phase (PBLD). "piecewise": how far the number is through each of
    16 bins, cut at the quantiles of a normal, the outer ones open (arXiv 2203.05556). "plain": itself alone.
    """

    start: torch.Tensor
    length: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, numbers: int, width: int, kind: str, frequency: float) -> None:
        super().__init__()
        self.kind = kind
        self.each = 1 if kind == "plain" or numbers == 0 else max(1, min(width, WIDEST // numbers))
        self.width = numbers * self.each
        if self.each == 1:
            return
        bound = 1 / math.sqrt(BASIS)
        self.mix = nn.Parameter(torch.empty(numbers, BASIS, self.each - 1).uniform_(-bound, bound))
        if kind == "periodic":
            self.frequency = nn.Parameter(torch.randn(numbers, BASIS) * frequency)
            self.phase = nn.Parameter(torch.empty(numbers, BASIS).uniform_(-math.pi, math.pi))
        else:
            inner = torch.distributions.Normal(0.0, 1.0).icdf(torch.arange(1, BASIS) / BASIS)
            edges = torch.cat([torch.tensor([-3.0]), inner, torch.tensor([3.0])])
            self.register_buffer("start", edges[:-1], persistent=False)
            self.register_buffer("length", edges.diff(), persistent=False)
            low, high = torch.zeros(BASIS), torch.ones(BASIS)
            low[0], high[-1] = -8.0, 8.0  # the outer pieces go on, so that outliers stay apart
            self.register_buffer("low", low, persistent=False)
            self.register_buffer("high", high, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, p) -> (B, p d)."""
        if self.each == 1:
            return x
        x = x.unsqueeze(2)  # (B, p, 1)
        if self.kind == "periodic":
            basis = torch.cos(2 * math.pi * x * self.frequency + self.phase)  # (B, p, 16)
        else:
            basis = torch.minimum(torch.maximum((x - self.start) / self.length, self.low), self.high)
        mixed = torch.einsum("bph,phd->bpd", basis, self.mix)  # (B, p, d - 1)
        return torch.cat([x, mixed], dim=2).flatten(1)


class EnsembleLinear(nn.Module):
    """One weight matrix for k members, each with its own input scale, output scale and bias. (B, k, in) -> (B, k, out)."""

    def __init__(self, members: int, inputs: int, outputs: int, spread: bool) -> None:
        """`spread` draws the input scales at random, which is what makes the members differ from the start."""
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(inputs, outputs).uniform_(-bound, bound))
        self.into = nn.Parameter(torch.randn(members, inputs) if spread else torch.ones(members, inputs))
        self.out = nn.Parameter(torch.ones(members, outputs))
        self.bias = nn.Parameter(torch.empty(members, outputs).uniform_(-bound, bound))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, k or 1, in) -> (B, k, out)."""
        return (x * self.into) @ self.weight * self.out + self.bias


class TabM(nn.Module):
    """Embedded table (B, F) -> k perceptrons in one (B, k, width); (B, width) when k is 1."""

    def __init__(self, view: View, numbers: Mapping[str, Any]) -> None:
        super().__init__()
        self.members, self.width = int(numbers["members"]), int(numbers["width"])
        self.input = TableInput(view)
        p = self.input.numbers
        self.embedding = NumberEmbedding(p, int(numbers["embedding_width"]), numbers["embedding"], numbers["frequency"])
        features = self.embedding.width + self.input.width - p
        self.scale = nn.Parameter(torch.zeros(features))
        layers: list[nn.Module] = []
        for i in range(int(numbers["depth"])):
            inputs = features if i == 0 else self.width
            layers.append(EnsembleLinear(self.members, inputs, self.width, spread=i == 0 and self.members > 1))
            activation = ACTIVATIONS[numbers["activation"]]()
            layers.append(Parametric(activation, self.width) if numbers["parametric"] else activation)
            layers.append(Dropout(numbers["dropout"]))
        self.body = nn.Sequential(*layers)

    def forward(
        self, values: torch.Tensor, codes: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """-> (B, k, width), or (B, width) when k is 1."""
        plain, others = self.input(values, codes)
        x = torch.cat([self.embedding(plain), others], dim=1) * (1 + SCALE_RATE * self.scale)  # (B, F)
        x = self.body(x.unsqueeze(1))  # (B, k, width)
        return x if self.members > 1 else x.squeeze(1)
