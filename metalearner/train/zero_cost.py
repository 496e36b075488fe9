"""Scores of a network that was never trained: features for search, never its objective.

Where a score is undefined (nothing to differentiate by, an overflow) it is None.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from .samples import Input

# Units of a layer that take part in the comparison of activation patterns.
UNITS = 1024


def zero_cost(net: nn.Module, inputs: list[Input], raw: torch.Tensor, loss: torch.Tensor) -> dict[str, float | None]:
    """All scores by name, from a forward pass that keeps its graph: raw (B, members, width) and its mean loss.

    The values of `inputs` must require gradients. Weights, buffers and `.grad` are left as they were.
    """
    weights = [p for p in net.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    pairs = [(p.detach(), g) for p, g in zip(weights, gradients) if g is not None]
    return {
        "grad_norm": _number(sum(g.square().sum() for _, g in pairs) ** 0.5),
        "snip": _log(sum((p * g).abs().sum() for p, g in pairs)),
        "jacobian_covariance": jacobian_covariance(inputs, raw),
        "naswot": naswot(net, inputs),
        "synflow": synflow(net, inputs),
    }


def jacobian_covariance(inputs: list[Input], raw: torch.Tensor) -> float | None:
    """How little rows' gradients by input are alike, at most 0 (Mellor et al. 2020, first version; Abdelfattah et al. 2021).

    With eigenvalues v of the rows' correlations it is -log10 of the mean of log v + 1 / v: the papers' order on a scale
    that near-singular correlations do not blow up.
    """
    values = [v for v, _, _ in inputs if v.requires_grad and v.numel()]
    if not values:
        return None
    found = torch.autograd.grad(raw.sum(), values, retain_graph=True, allow_unused=True)
    felt = [torch.nan_to_num(g).flatten(1) for g in found if g is not None]
    if not felt:  # symbols by their numbers: nothing about them is gradual
        return None
    jacobian = torch.cat(felt, 1).double()  # (B, inputs)
    centred = jacobian - jacobian.mean(1, keepdim=True)
    scaled = centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-12)
    eigenvalues = (torch.linalg.eigvalsh(scaled @ scaled.T) + 1e-5).clamp(min=1e-5)
    return _number(-(eigenvalues.log() + 1 / eigenvalues).mean().log10())


def naswot(net: nn.Module, inputs: list[Input]) -> float | None:
    """Log determinant of how often rows agree on which units are on (Mellor et al. 2021).

    A unit is an output of a linear or convolutional layer, on where it is above 0: what ReLU and its smooth kin let
    through. Mean over the rows, so that batches of different size compare.
    """
    patterns: list[torch.Tensor] = []

    def note(module: nn.Module, _: Any, found: Any) -> None:
        found = found[0] if isinstance(found, tuple) else found  # a mixer gives features and mask
        if found.shape[0] == rows:
            patterns.append((found > 0).reshape(rows, -1)[:, :UNITS])

    rows = len(inputs[0][0])
    layers = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    hooks = [m.register_forward_hook(note) for m in layers]
    try:
        with torch.no_grad():
            net(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if not patterns:
        return None
    on = torch.cat(patterns, 1).double()
    agree = (on @ on.T + (1 - on) @ (1 - on).T) / on.shape[1]
    return _number(torch.linalg.slogdet(agree + 1e-6 * torch.eye(rows, dtype=torch.double)).logabsdet / rows)


def synflow(net: nn.Module, inputs: list[Input]) -> float | None:
    """Log10 of the flow through absolute weights, sum of |weight x gradient| for an input of ones (Tanaka et al. 2020)."""
    weights = [p for p in net.parameters() if p.requires_grad]
    kept = [p.detach().clone() for p in weights]
    ones = [
        (torch.ones_like(v[:1]), None if c is None else c[:1], None if m is None else torch.ones_like(m[:1]))
        for v, c, m in inputs
    ]
    modes = [(m, m.training) for m in net.modules()]
    net.eval()  # batch norm must pass the flow on, not cut it to one scale
    try:
        with torch.no_grad():
            for p in weights:
                p.abs_()
        flow = torch.autograd.grad(net(ones).sum(), weights, allow_unused=True)
        return _log(sum((p * g).abs().double().sum() for p, g in zip(weights, flow) if g is not None))
    finally:
        with torch.no_grad():
            for p, before in zip(weights, kept):
                p.copy_(before)
        for module, mode in modes:
            module.training = mode


def _number(value: Any) -> float | None:
    found = float(torch.as_tensor(value).detach())
    return found if math.isfinite(found) else None


def _log(value: Any) -> float | None:
    found = float(torch.as_tensor(value).detach())
    return math.log10(found) if math.isfinite(found) and found > 0 else None
