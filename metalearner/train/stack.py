"""Many small networks of one shape trained as one: Python's overhead is paid once a step, not once a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..grammar.build import Net
from .bank import LONGEST, Bank, Recipe
from .optimisers import Descent
from .samples import Input
from .weights import State, kept_buffers


class Stack(Bank):
    """Parameters and buffers of K networks stacked, one forward pass for all by `vmap`.

    Gradients come from one backward pass of the sum of all losses: what one network does is nothing to another's.
    """

    def __init__(self, nets: Sequence[Net], recipes: Sequence[Recipe], descent: type[Descent]) -> None:
        super().__init__(nets, recipes)
        self.net = nets[0]
        self.places = Places(self.net)
        weights = torch.stack([self.layout.row(net) for net in nets]).requires_grad_()
        buffers = [kept_buffers(net) for net in nets]
        self.state = State(weights, {k: torch.stack([b[k] for b in buffers]) for k in buffers[0]})
        self.constants = _different([dict(net.named_buffers()) for net in nets], without=buffers[0])
        self.descent = descent(
            [r["lr"] for r in recipes], [r["weight_decay"] for r in recipes], self.state.weights.shape[1]
        )

    def forward(self, inputs: list[Input]) -> torch.Tensor:
        """(K, B, members, width)."""
        if not self.net.training:  # `train` walks the whole tree: once an epoch is enough
            self.net.train()
        return self._mapped(inputs, self.state)

    def outputs(self, inputs: list[Input], state: State) -> torch.Tensor:
        """(K, B, members, width)."""
        self.net.eval()
        with torch.no_grad():
            return self._mapped(inputs, state)

    def tried(self, inputs: list[Input], loss: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Raise what a step would raise, and leave everything as it was."""
        self.net.train()
        trial = State(self.state.weights, {k: b.clone() for k, b in self.state.buffers.items()})
        torch.autograd.grad(loss(self._mapped(inputs, trial)).sum(), trial.weights)

    def _mapped(self, inputs: list[Input], state: State) -> torch.Tensor:
        there = [[t is not None for t in view] for view in inputs]
        given = [t for view in inputs for t in view if t is not None]
        own = {**self.layout.split(state.weights), **state.buffers, **self.constants}
        places = self.places.of(own)

        def one(*tensors: torch.Tensor) -> torch.Tensor:
            left = iter(tensors)
            for place, name in places:
                place[name] = next(left)
            views = [tuple(next(left) if known else None for known in view) for view in there]
            return self.net(views)

        with self.places:
            return torch.vmap(one, randomness="different")(*own.values(), *given)

    def descend(self, losses: torch.Tensor, factor: Sequence[float]) -> None:
        """One step of all, each gradient cut to its own length."""
        weights = self.state.weights
        (gradient,) = torch.autograd.grad(losses.sum(), weights)
        with torch.no_grad():
            norm = gradient.norm(dim=1, keepdim=True)
            gradient.mul_((LONGEST * self.members / (norm + 1e-6)).clamp(max=1.0))
            self.descent.step(weights, gradient, np.array(factor))

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these networks alone; what there is to do in a step shrinks with them."""
        super().select(rows)
        chosen = torch.tensor(rows)
        self.state.weights.requires_grad_()
        self.constants = {k: t.index_select(0, chosen) for k, t in self.constants.items()}
        self.descent.select(chosen)

    def optimiser_state(self, row: int) -> dict[str, torch.Tensor]:
        """As torch's optimiser of one network keeps it."""
        found = {}
        for name, memory in self.descent.state.items():
            for i, part in enumerate(self.layout.split(memory[row : row + 1]).values()):
                found[f"{i}/{name}"] = part[0]
        for i in range(len(self.layout.names)):
            found[f"{i}/step"] = torch.tensor(self.descent.steps[row], dtype=torch.float32)
        return found

    def restore_optimiser(self, row: int, state: Mapping[str, torch.Tensor]) -> None:
        """As torch's optimiser of one network kept it."""
        self.descent.steps[row] = float(self.steps[row])
        for name, memory in self.descent.state.items():
            memory[row] = self.layout.joined([state[f"{i}/{name}"] for i in range(len(self.layout.names))])


class Places:
    """Where a network holds its tensors, so that others can stand there for the time of one call.

    What torch.func.functional_call does, without looking through the whole network at every step.
    """

    def __init__(self, net: Net) -> None:
        self.held = {
            f"{path}.{name}".lstrip("."): (place, name)
            for path, module in net.named_modules()
            for place in (module._parameters, module._buffers)
            for name in place
        }

    def of(self, names: Iterable[str]) -> list[tuple[dict[str, Any], str]]:
        """The places of these names, each a dictionary and a key."""
        return [self.held[name] for name in names]

    def __enter__(self) -> None:
        self.before = [(place, name, place[name]) for place, name in self.held.values()]

    def __exit__(self, *problem: object) -> None:
        for place, name, tensor in self.before:
            place[name] = tensor


def _different(buffers: Sequence[Mapping[str, torch.Tensor]], without: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Constants in which the networks differ (dropout rates), stacked; those they share need no row for each."""
    first = buffers[0]
    names = [k for k in first if k not in without and any(not torch.equal(first[k], b[k]) for b in buffers)]
    return {k: torch.stack([b[k] for b in buffers]) for k in names}
