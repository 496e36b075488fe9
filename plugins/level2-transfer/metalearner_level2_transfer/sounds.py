"""Audio encoders of transformers: recordings to the mean of what they hear."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from metalearner.arrays import Tensor
from metalearner.backbones import RATE
from metalearner.kinds import Pretrained

from .lists import before, layers_of, train_only
from .texts import AsItIs

# Samples that a recording must have for the first convolutions to see anything.
SHORTEST = 1_600
LOUDEST = 32767.0


class Listener(Pretrained):
    """An audio encoder. Each recording goes through alone: what would fill it up is heard by norms over time."""

    def __init__(self, net: nn.Module) -> None:
        self.net = steadied(net.eval())

    def prepare(self, raw: Sequence[np.ndarray], numbers: Mapping[str, Any]) -> Tensor:
        """int16 (n, samples) to float32 (n, T, 1), each of mean 0 and deviation 1, with a mask."""
        rows = [row[: int(np.flatnonzero(row).max(initial=0)) + 1] for row in np.asarray(raw[0])]
        rows = [row[: int(numbers["seconds"] * RATE)] for row in rows]
        longest = max(SHORTEST, max((len(row) for row in rows), default=0))
        values, mask = np.zeros((len(rows), longest, 1), np.float32), np.zeros((len(rows), longest), bool)
        for i, row in enumerate(rows):
            samples = row.astype(np.float32) / LOUDEST
            values[i, : len(row), 0] = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
            mask[i, : max(SHORTEST, len(row))] = True
        return Tensor(values, mask=mask)

    def lower(self, tuned: int, numbers: Mapping[str, Any]) -> nn.Module:
        """Everything or nothing."""
        return AsItIs() if tuned else Heard(self.net, as_state=True)

    def upper(self, tuned: int, numbers: Mapping[str, Any]) -> nn.Module:
        """The whole, of which the last layers are trained."""
        return Heard(copy.deepcopy(self.net), tuned)


def steadied(net: Any) -> nn.Module:
    """A network without what it would do by itself while it is trained.

    It would leave out spans, of ten frames at least, and layers, both drawn without a seed; and it would ask its input for a
    gradient, which values that have one already refuse.
    """
    net.config.update({"apply_spec_augment": False, "layerdrop": 0.0})
    for part in net.modules():
        if hasattr(part, "_requires_grad"):
            part._requires_grad = False
    return net


class Heard(nn.Module):
    """Recordings (B, T, 1) with a mask to the mean over time of the last states (B, width)."""

    def __init__(self, net: Any, tuned: int = 0, as_state: bool = False) -> None:
        super().__init__()
        self.net, self.as_state = net, as_state
        if tuned:
            self.layers = [*layers_of(net)[-tuned:]]  # a plain list: they are in `net` already
            self.below = before(net, self.layers)
            train_only(net, self.layers)

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> Any:
        """One after the other."""
        found = [self.net(row[inside, 0][None]).last_hidden_state.float().mean(1) for row, inside in zip(values, mask)]
        features = torch.cat(found)
        return (features, None) if self.as_state else features
