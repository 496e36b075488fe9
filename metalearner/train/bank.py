"""Networks of one shape under training, one or many: their weights, the running average of them, the best seen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..grammar.build import Net
from .samples import Input
from .weights import Layout, State

# A network's gradient is cut to this length, a member.
LONGEST = 5.0

Recipe = Mapping[str, Any]


class Bank(ABC):
    """K networks side by side. Tensors have a row for each, in the order of `nets`."""

    state: State

    def __init__(self, nets: Sequence[Net], recipes: Sequence[Recipe], align: int = 1) -> None:
        self.nets = list(nets)
        self.layout = Layout(nets[0], align)
        self.members = nets[0].members
        self.steps = torch.zeros(len(nets), dtype=torch.float64)
        self.decay = torch.tensor([float(r["ema"]) for r in recipes], dtype=torch.float64)
        self.averages = bool(self.decay.any())
        self.average: State | None = None
        self.best: State | None = None

    @abstractmethod
    def forward(self, inputs: list[Input]) -> torch.Tensor:
        """A step's raw outputs (K, B, members, width) for inputs (K, B, ...), in training mode."""

    @abstractmethod
    def outputs(self, inputs: list[Input], state: State) -> torch.Tensor:
        """The same in evaluation mode, without gradients, for networks in a given state."""

    @abstractmethod
    def descend(self, losses: torch.Tensor, factor: Sequence[float]) -> None:
        """One step down the losses (K,); `factor` is each one's share of its full learning rate."""

    @abstractmethod
    def optimiser_state(self, row: int) -> dict[str, torch.Tensor]:
        """What the optimiser remembers of one network, as "<parameter's index>/<name>"."""

    @abstractmethod
    def restore_optimiser(self, row: int, state: Mapping[str, torch.Tensor]) -> None:
        """Put back what `optimiser_state` gave."""

    def seed(self, seed: int) -> None:
        """From here on chance (dropout, noise) is drawn by this seed."""
        torch.default_generator.manual_seed(seed)

    def step(self, losses: torch.Tensor, factor: Sequence[float]) -> None:
        """One step, and the running average of the weights moved along."""
        self.descend(losses, factor)
        self.steps += 1
        if not self.averages:
            return
        self._averaged()
        assert self.average is not None
        with torch.no_grad():
            for mean, now in zip(self.average.tensors(), self.state.tensors()):
                if now.is_floating_point():
                    mean.lerp_(now, _beside(1 - self.decay, now))
                else:
                    mean.copy_(now)

    def shown(self) -> State:
        """What is judged and kept: the averaged weights where a recipe asks for them, the latest elsewhere.

        The average began at nothing, which is corrected for as in Adam, so that it serves short fits too.
        """
        if self.average is None or not self.averages:
            return self.state
        whole = 1 - self.decay**self.steps
        return self.average.like([
            t / _beside(whole, t) if t.is_floating_point() else t for t in self.average.tensors()
        ])  # fmt: skip

    def keep(self, shown: State, rows: Sequence[int]) -> None:
        """Remember these rows as the best so far."""
        if self.best is None:
            self.best = shown.clone()
        else:
            self.best.put(torch.tensor(rows), shown)

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these networks alone."""
        chosen = torch.tensor(rows)
        self.nets = [self.nets[i] for i in rows]
        self.steps, self.decay = self.steps[chosen], self.decay[chosen]
        self.averages = bool(self.decay.any())
        self.state = self.state.select(chosen)
        self.average = None if self.average is None else self.average.select(chosen)
        self.best = None if self.best is None else self.best.select(chosen)

    def latest(self, row: int) -> dict[str, torch.Tensor]:
        """All that is needed to go on with one network later."""
        found = {f"net/{k}": v for k, v in self.state.by_name(row, self.layout).items()}
        found |= {f"optimiser/{k}": v for k, v in self.optimiser_state(row).items()}
        if self.decay[row]:
            self._averaged()
            assert self.average is not None
            found |= {f"average/{k}": v for k, v in self.average.by_name(row, self.layout).items()}
        return {
            **{k: v.to("cpu", copy=True, memory_format=torch.contiguous_format) for k, v in found.items()},
            "steps": self.steps[row].clone(),
        }

    def restore(self, row: int, latest: Mapping[str, torch.Tensor], best: Mapping[str, torch.Tensor]) -> None:
        """Put back what `latest` gave, and the best weights seen until then."""
        parts: dict[str, dict[str, torch.Tensor]] = {"net": {}, "optimiser": {}, "average": {}}
        for key, tensor in latest.items():
            part, _, name = key.partition("/")
            if name:
                parts[part][name] = tensor
        self.steps[row] = float(latest["steps"])
        self.fill(self.state, row, parts["net"])
        self.restore_optimiser(row, parts["optimiser"])
        if parts["average"]:
            self._averaged()
            assert self.average is not None
            self.fill(self.average, row, parts["average"])
        if self.best is None:
            self.best = self.state.clone()
        self.fill(self.best, row, best)

    def fill(self, state: State, row: int, tensors: Mapping[str, torch.Tensor]) -> None:
        """Write one network's tensors, named as in its `state_dict`, into its row."""
        with torch.no_grad():
            state.weights[row].copy_(self.layout.joined([tensors[name] for name in self.layout.names]))
            for name, buffer in state.buffers.items():
                buffer[row].copy_(tensors[name])

    def _averaged(self) -> None:
        if self.average is None:
            self.average = self.state.like([torch.zeros_like(t) for t in self.state.clone().tensors()])


def _beside(numbers: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """(K,) shaped to be multiplied with (K, ...)."""
    return numbers.to(tensor).reshape(-1, *[1] * (tensor.dim() - 1))
