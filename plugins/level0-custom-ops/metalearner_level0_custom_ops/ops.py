"""The binary convolution as an operation of torch: its kernel, its shapes, its gradient, its cost.

A linear layer is a convolution over one place, a series an image one pixel high.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.utils.flop_counter import register_flop_formula

from . import signs
from .signs import Convolution

# A comparison of signs against a multiplication with its addition, in time: benchmarks/binary.py, AVX2, rounded down.
CHEAPER = 8


def geometry(
    x: Sequence[int],
    weight: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Convolution:
    """From the shapes of x (B, H, W, groups * C) and weight (O, kh, kw, C). Raises ValueError where they do not fit."""
    if len(x) != 4 or len(weight) != 4 or x[3] != groups * weight[3]:
        raise ValueError(
            f"x {tuple(x)} and weight {tuple(weight)} with {groups} groups: (B, H, W, groups * C), (O, kh, kw, C)"
        )
    pairs = [(int(p[0]), int(p[1])) for p in (weight[1:3], stride, padding, dilation)]
    return Convolution(int(weight[3]), int(weight[0]), *pairs, groups)


@torch.library.custom_op("metalearner::binary_convolution", mutates_args=())
def binary_convolution(
    x: torch.Tensor, weight: torch.Tensor, stride: list[int], padding: list[int], dilation: list[int], groups: int
) -> torch.Tensor:
    """Signs of x (B, H, W, groups * C) convolved with signs of weight (O, kh, kw, C) -> (B, H', W', O) whole numbers as float32.

    The sign of a number is +1 where it is at least 0, else -1; outside of x all is -1.
    """
    how = geometry(x.shape, weight.shape, stride, padding, dilation, groups)
    _check(x, weight)
    packed = signs.pack(x.detach().numpy(), groups=groups)
    found = signs.convolve(
        packed, _panels(weight.detach().numpy(), how), how, signs.Then(), threads=torch.get_num_threads()
    )
    return torch.from_numpy(found)


def _check(x: torch.Tensor, weight: torch.Tensor) -> None:
    """Signs of float64 are others than those of the float32 that the kernels read."""
    if x.dtype != torch.float32 or weight.dtype != torch.float32:
        raise ValueError(f"signs are taken of float32; x is {x.dtype}, weight {weight.dtype}")


def _panels(weight: np.ndarray, how: Convolution) -> list[np.ndarray]:
    packed = signs.pack(weight).reshape(how.outputs, -1)  # (O, kernel * words)
    return [signs.panels(part) for part in np.split(packed, how.groups)]


@binary_convolution.register_fake
def _shapes(x: Any, weight: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> torch.Tensor:
    how = geometry(x.shape, weight.shape, stride, padding, dilation, groups)
    _check(x, weight)
    return x.new_empty((x.shape[0], *how.after(int(x.shape[1]), int(x.shape[2])), how.outputs))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, weight, ctx.stride, ctx.padding, ctx.dilation, ctx.groups = inputs
    ctx.save_for_backward(x, weight)


def _back(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
    """The gradient of the same convolution of the signs as plain numbers: straight through what made them signs."""
    x, weight = ctx.saved_tensors
    padded = functional.pad(sign(x), _around(ctx.padding), value=-1.0).permute(0, 3, 1, 2)
    filters = sign(weight).permute(0, 3, 1, 2)
    wanted = [ctx.needs_input_grad[0], ctx.needs_input_grad[1], False]
    to_x, to_weight, _ = torch.ops.aten.convolution_backward(
        gradient.permute(0, 3, 1, 2), padded, filters, None, ctx.stride, [0, 0], ctx.dilation, False, [0, 0], ctx.groups, wanted
    )  # fmt: skip
    if to_x is not None:
        (down, across), (_, height, width, _) = ctx.padding, x.shape
        to_x = to_x.permute(0, 2, 3, 1)[:, down : down + height, across : across + width]
    return to_x, None if to_weight is None else to_weight.permute(0, 2, 3, 1), None, None, None, None


binary_convolution.register_autograd(_back, setup_context=_keep)


@register_flop_formula(torch.ops.metalearner.binary_convolution)
def _flops(x: Any, weight: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """Two a product, as torch counts, of what takes as long."""
    places = int(np.prod(out_shape[:3]))
    return 2 * places * int(np.prod(weight)) // CHEAPER


def plain_convolution(
    x: torch.Tensor,
    weight: torch.Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> torch.Tensor:
    """The same by torch's own operations, of +1 and -1 as plain numbers: for export, and to check by."""
    padded = functional.pad(x, _around(padding), value=-1.0).permute(0, 3, 1, 2)
    filters = weight.permute(0, 3, 1, 2)
    return functional.conv2d(padded, filters, None, tuple(stride), 0, tuple(dilation), groups).permute(0, 2, 3, 1)


def sign(x: torch.Tensor) -> torch.Tensor:
    """+1 where it is at least 0, else -1; NaN is not at least 0."""
    return (x >= 0).to(torch.float32).mul_(2).sub_(1)  # several times as fast as `where` with two numbers


def _around(padding: Sequence[int]) -> list[int]:
    """For `functional.pad` of (B, H, W, C)."""
    return [0, 0, padding[1], padding[1], padding[0], padding[0]]


class StraightThrough(torch.autograd.Function):
    """Signs, with a gradient that passes where the number is within 1 of 0 (Hubara et al. 2016, arXiv 1602.02830).

    Its height is that of Bi-Real Net's polynomial (arXiv 1808.00278): 2 - 2 |x|.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """-> +1 and -1."""
        ctx.save_for_backward(x)
        return sign(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """-> the gradient to x."""
        (x,) = ctx.saved_tensors
        return gradient * (2 - 2 * x.abs()).clamp(min=0)
