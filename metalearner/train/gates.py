"""Cheap looks at a network before any training: its size and speed, one step forward and back, zero-cost scores."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ..errors import Pruned
from ..grammar.cost import multiply_adds
from ..kinds import Loss
from .samples import Input
from .zero_cost import zero_cost

# Rows of the step; single rows that are timed; numbers kept per weight in training: itself, gradient, Adam's two.
ROWS, TIMED, KEPT = 16, 5, 4


def gate(
    net: nn.Module, inputs: list[Input], target: torch.Tensor, loss: Loss, allowed: float | None = None
) -> dict[str, Any]:
    """The facts of a network, or Pruned where training it takes more megabytes than are allowed. Nothing of the net, of gradients
    or of the random state is changed.

    `inputs` and `target` are one training batch as the loop would take it; only its first rows are run. Facts: parameters,
    multiply_adds (of one row), megabytes (weights, gradients, optimiser and activations for the whole batch), ms_row
    (median of single rows), zero_cost (by name).
    """
    facts: dict[str, Any] = {"parameters": sum(p.numel() for p in net.parameters())}
    with untouched(net):
        few = [_rows(one, ROWS) for one in inputs]
        net.train()
        raw, held = _forward(net, few)
        value = loss(raw.flatten(0, 1), target[:ROWS].repeat_interleave(raw.shape[1])).mean()
        share = len(target) / len(raw)
        facts["megabytes"] = round((4 * KEPT * facts["parameters"] + held * share) / 1e6, 3)
        if allowed is not None and facts["megabytes"] > allowed:
            raise Pruned(f"The network takes {facts['megabytes']:,.4g} MB of memory for training.",
                         f"At most {allowed:,.4g} are allowed.", "Try a smaller one, or raise the limit.")  # fmt: skip
        _finite(raw, value)
        scores = zero_cost(net, few, raw, value)
        if scores["grad_norm"] is None:
            raise Pruned("The first gradient is not finite.", "A network must be able to take a step.", "")
        net.eval()
        one = [_rows(view, 1) for view in inputs]
        facts["ms_row"] = _milliseconds(net, one)
        facts["multiply_adds"] = multiply_adds(net, one)
    return {**facts, "zero_cost": scores}


@contextmanager
def untouched(net: nn.Module) -> Iterator[None]:
    """Put buffers (batch norm's statistics), modes and the random state back at the end."""
    buffers = [(b, b.detach().clone()) for b in net.buffers()]
    modes = [(m, m.training) for m in net.modules()]
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)
            for module, mode in modes:
                module.training = mode


def _forward(net: nn.Module, inputs: list[Input]) -> tuple[torch.Tensor, int]:
    """Head outputs (B, members, width), and the bytes kept for the way back beside the weights."""
    weights = {p.untyped_storage().data_ptr() for p in net.parameters()}
    held: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # itself would hold the graph that holds it, for ever

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        return net(inputs), sum(held.values())


def _rows(one: Input, count: int) -> Input:
    """The first rows of a view, its values ready to be differentiated by."""
    values, codes, mask = one
    return (
        values[:count].detach().clone().requires_grad_(),
        None if codes is None else codes[:count],
        None if mask is None else mask[:count],
    )


def _finite(raw: torch.Tensor, value: torch.Tensor) -> None:
    strange = int((~torch.isfinite(raw)).sum())
    if strange or not torch.isfinite(value):
        raise Pruned(f"{strange} of {raw.numel()} first outputs are not finite, the loss is {value.item()}.",
                     "A network must start from numbers.", "")  # fmt: skip


def _milliseconds(net: nn.Module, one: list[Input]) -> float:
    """Median time of a single row, in ms."""
    took = []
    with torch.inference_mode():
        for _ in range(TIMED + 1):
            start = time.perf_counter()
            net(one)
            took.append(1e3 * (time.perf_counter() - start))
    return round(sorted(took[1:])[TIMED // 2], 4)
