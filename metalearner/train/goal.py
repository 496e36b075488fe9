"""A loss over the rows of many networks at once, and what recipes mix into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import torch

from ..kinds import Loss
from ..records import View
from .augment import Manner, augment, mixup
from .samples import Input

# Rows on which a loss is tried, a group, to see how it can be called.
TRIED, GROUPS = 16, 3


class ManyRows:
    """A loss for raw outputs (K, B, members, width) and targets (K, B) -> (K, B, members).

    Most losses look at one row at a time: all rows of all networks are then one call. Those that look at the whole
    batch (classes weighed by their count) are mapped over networks and members, or called for each where they do not map.
    """

    def __init__(self, loss: Loss, width: int, target: torch.Tensor) -> None:
        """`target` are some targets to try it on; sorted, so that groups differ and a loss that counts shows it."""
        self.loss = loss
        chosen = torch.linspace(0, len(target) - 1, TRIED * GROUPS).long()
        few = target.sort().values[chosen].reshape(GROUPS, TRIED)
        raw = torch.randn(GROUPS, TRIED, 1, width, generator=torch.Generator().manual_seed(0))
        truth = self._each(raw, few)
        self._call: Callable[..., torch.Tensor] = self._each
        for way in (self._flat, self._mapped):
            try:
                alike = torch.allclose(way(raw, few), truth, atol=1e-6)
            except Exception:  # a stranger's loss may do anything; then it is called for each network
                continue
            if alike:
                self._call = way
                break

    def __call__(self, raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Raw (K, B, members, width), target (K, B) -> (K, B, members)."""
        return self._call(raw, target)

    def _flat(self, raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        beside = target.unsqueeze(2).expand(raw.shape[:3]).flatten()
        return self.loss(raw.flatten(0, 2), beside).reshape(raw.shape[:3])

    def _mapped(self, raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        members = raw.shape[2]
        found = torch.vmap(self.loss)(raw.transpose(1, 2).flatten(0, 1), target.repeat_interleave(members, 0))
        return found.unflatten(0, (-1, members)).transpose(1, 2)

    def _each(self, raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        rows = [
            torch.stack([self.loss(one[:, m], beside) for m in range(raw.shape[2])], 1)
            for one, beside in zip(raw, target)
        ]
        return torch.stack(rows)


@dataclass(frozen=True)
class Batch:
    """What K networks see in a step: inputs (K, B, ...), targets (K, B), and the targets of the rows mixed in."""

    inputs: list[Input]
    target: torch.Tensor
    other: torch.Tensor | None = None
    weight: torch.Tensor | None = None  # (K, B) of the row's own target; the rest is the other's


class Goal:
    """What K networks descend: the loss, with smoothed labels, mixed and changed rows where their recipes say so."""

    def __init__(self, loss: ManyRows, views: Mapping[str, View], recipes: Sequence[Mapping[str, Any]]) -> None:
        self.loss, self.views = loss, views
        smoothing = [float(r["label_smoothing"]) if loss.loss.smooths else 0.0 for r in recipes]
        self.smoothing = torch.tensor(smoothing) if any(smoothing) else None
        self.mixing = [float(r["mixup"]) for r in recipes]
        self.recipes, self.changing = recipes, any(float(r["augment"]) for r in recipes)

    def batch(self, inputs: list[Input], target: torch.Tensor, generator: torch.Generator) -> Batch:
        """Rows (K, B, ...) as the networks see them."""
        if self.changing:
            manner = Manner.of(self.recipes, target.shape[1])
            flat = augment(_each(inputs, lambda t: t.flatten(0, 1)), self.views, manner, generator)
            inputs = _each(flat, lambda t: t.unflatten(0, target.shape))
        if not any(self.mixing):
            return Batch(inputs, target)
        # One network after the other: rows of different folds must not meet.
        mixed = [
            mixup(_each(inputs, itemgetter(k)), target[k], strength, generator)
            for k, strength in enumerate(self.mixing)
        ]
        stacked: list[Any] = [
            tuple(None if parts[0] is None else torch.stack(parts) for parts in zip(*view))
            for view in zip(*(changed for changed, _, _ in mixed))
        ]
        partner, weight = torch.stack([m[1] for m in mixed]), torch.stack([m[2] for m in mixed])
        return Batch(stacked, target, target.gather(1, partner), weight)

    def losses(self, raw: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Raw outputs (K, B, members, width) -> what each network descends (K,): mean over rows, sum over members."""
        found = self.loss(raw, batch.target)
        if batch.other is not None and batch.weight is not None:
            weight = batch.weight.unsqueeze(2)
            found = weight * found + (1 - weight) * self.loss(raw, batch.other)
        total = found.mean(1).sum(1)
        if self.smoothing is not None:
            smooth = -raw.log_softmax(-1).mean((1, 3)).sum(1)
            total = (1 - self.smoothing) * total + self.smoothing * smooth
        return total


def _each(inputs: list[Input], change: Callable[[torch.Tensor], torch.Tensor]) -> list[Input]:
    return [tuple(None if t is None else change(t) for t in view) for view in inputs]  # type: ignore[misc]
