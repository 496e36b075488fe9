"""One network trained alone, by a torch optimiser: for large ones and for those that cannot be stacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.func import functional_call

from ..grammar.build import Net
from ..kinds import Optimiser
from .bank import LONGEST, Bank, Recipe
from .samples import Input
from .weights import State, kept_buffers

# A parameter on an accelerator begins at a multiple of so many numbers (256 bytes, as its own allocations do).
ALIGNED = 64


class Single(Bank):
    """A bank of one. The network's own parameters and buffers are the rows of the state, not copies.

    They live on `device` meanwhile; rows come from the processor, and outputs go back to it.
    """

    def __init__(self, net: Net, recipe: Recipe, optimiser: Optimiser, device: str = "cpu") -> None:
        super().__init__([net], [recipe], 1 if device == "cpu" else ALIGNED)
        self.net, self.device = net.to(device), device
        weights = self.layout.row(net).unsqueeze(0)
        for parameter, part in zip(net.parameters(), self.layout.split(weights).values()):
            parameter.data = part[0]
        self.state = State(weights, {name: b.unsqueeze(0) for name, b in kept_buffers(net).items()})
        self.trained = [p for p in net.parameters() if p.requires_grad]
        self.optimiser = optimiser.build(_paced(self.trained, recipe["lr"]), recipe["lr"], recipe["weight_decay"])
        self.rates = [group["lr"] for group in self.optimiser.param_groups]

    def forward(self, inputs: list[Input]) -> torch.Tensor:
        """(1, B, members, width)."""
        if not self.net.training:  # `train` walks the whole tree: once an epoch is enough
            self.net.train()
        return self.net(self._here(inputs)).cpu().unsqueeze(0)

    def outputs(self, inputs: list[Input], state: State) -> torch.Tensor:
        """(1, B, members, width)."""
        self.net.eval()
        with torch.inference_mode():
            if state is self.state:
                return self.net(self._here(inputs)).cpu().unsqueeze(0)
            weights = state.by_name(0, self.layout)
            return functional_call(self.net, weights, (self._here(inputs),)).cpu().unsqueeze(0)

    def seed(self, seed: int) -> None:
        """Where the network is, too."""
        super().seed(seed)
        if self.device != "cpu":
            torch.get_device_module(self.device).manual_seed(seed)

    def descend(self, losses: torch.Tensor, factor: Sequence[float]) -> None:
        """One step of the torch optimiser."""
        for group, rate in zip(self.optimiser.param_groups, self.rates):
            group["lr"] = rate * factor[0]
        self.optimiser.zero_grad(set_to_none=True)
        losses.sum().backward()
        torch.nn.utils.clip_grad_norm_(self.trained, LONGEST * self.members)
        self.optimiser.step()

    def optimiser_state(self, row: int) -> dict[str, torch.Tensor]:
        """As torch keeps it."""
        return {
            f"{i}/{name}": torch.as_tensor(value)
            for i, kept in self.optimiser.state_dict()["state"].items()
            for name, value in kept.items()
            if value is not None
        }

    def restore_optimiser(self, row: int, state: Mapping[str, torch.Tensor]) -> None:
        """As torch takes it."""
        found: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in state.items():
            index, name = key.split("/")
            found.setdefault(int(index), {})[name] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": found})

    def _here(self, inputs: list[Input]) -> list[Input]:
        """The only network's rows, where it is."""
        return [tuple(None if t is None else t[0].to(self.device) for t in view) for view in inputs]  # type: ignore[misc]


def _paced(parameters: Sequence[torch.nn.Parameter], rate: float) -> Sequence[Any]:
    """Parameters, grouped where some have a `share` of their own of the learning rate."""
    shares: dict[float, list[torch.nn.Parameter]] = {}
    for parameter in parameters:
        shares.setdefault(getattr(parameter, "share", 1.0), []).append(parameter)
    if list(shares) == [1.0]:
        return parameters
    return [{"params": group, "lr": rate * share} for share, group in shares.items()]
