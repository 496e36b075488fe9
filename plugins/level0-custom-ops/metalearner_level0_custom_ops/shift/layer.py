"""The shift as an operation of torch and as a layer: its kernel, its shapes, its gradient, its cost, its plain twin."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import register_flop_formula

from metalearner.records import View

from ..modules import constant
from . import products
from .products import FINE, HALFWAY, LEAST, REACH

Features = tuple[torch.Tensor, torch.Tensor | None]


@torch.library.custom_op("metalearner::shift_linear", mutates_args=())
def shift_linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """x (n, inputs) on a grid by weight (outputs, inputs) as signed powers of two -> (n, outputs). float32 alone."""
    _check(x, weight)
    return torch.from_numpy(products.multiply(x.detach().numpy(), weight.detach().numpy()))


def _check(x: torch.Tensor, weight: torch.Tensor) -> None:
    if x.dtype != torch.float32 or weight.dtype != torch.float32 or x.dim() != 2 or weight.dim() != 2:
        raise ValueError(
            f"x {x.dtype} {tuple(x.shape)}, weight {weight.dtype} {tuple(weight.shape)}: float32, two axes"
        )
    if x.shape[1] != weight.shape[1]:
        raise ValueError(f"x has {x.shape[1]} inputs, weight {weight.shape[1]}")


@shift_linear.register_fake
def _shapes(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    _check(x, weight)
    return x.new_empty((x.shape[0], weight.shape[0]))


def _keep(ctx: Any, inputs: tuple[torch.Tensor, torch.Tensor], output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _back(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """That of the product of the rounded numbers, straight through what rounded them; none where x was cut off."""
    x, weight = ctx.saved_tensors
    inside = (x * FINE).abs() <= REACH
    return (gradient @ powers(weight)) * inside, gradient.T @ grid(x)


shift_linear.register_autograd(_back, setup_context=_keep)


@register_flop_formula(torch.ops.metalearner.shift_linear)
def _flops(x: Any, weight: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """As many as a product of plain numbers: a CPU shifts no faster than it multiplies."""
    return 2 * x[0] * x[1] * weight[0]


def grid(x: torch.Tensor) -> torch.Tensor:
    """The nearest multiples of 1 / 256 within +-128; NaN is 0."""
    x = torch.where(x.isnan(), 0.0, x)
    return torch.round((x * FINE).clamp(-REACH, REACH)) * (1 / FINE)


def powers(weight: torch.Tensor) -> torch.Tensor:
    """The nearest signed powers of two, as numbers."""
    part, exponent = torch.frexp(weight.abs())
    nearest = exponent - (part < float(HALFWAY)).to(exponent.dtype)
    table = torch.tensor([2.0**-n for n in range(LEAST, -1, -1)], device=weight.device)
    found = table[(nearest.clamp(-LEAST, 0) + LEAST).long()] * torch.sign(weight)
    return torch.where((nearest >= -LEAST) & weight.isfinite(), found, 0.0)


class ShiftDense(nn.Module):
    """A linear layer over the channels of each place, its weights signed powers of two."""

    stackable = False

    def __init__(self, view: View) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(view.channels, view.channels).normal_(0.0, view.channels**-0.5))
        self.bias = nn.Parameter(torch.zeros(view.channels))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> the same shape."""
        flat = x.reshape(-1, x.shape[-1])
        if torch.onnx.is_in_onnx_export():  # there are no shifts of plain numbers in ONNX; these products are the same
            product = grid(flat) @ constant(powers(self.weight)).T
        else:
            product = shift_linear(flat, self.weight)
        return product.reshape(x.shape) + self.bias, mask
