"""Convolutions and pools; those of signs by signs become bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import signs
from ..layout import BATCH, Atom, Tensor, constant, merged
from ..signs import Convolution
from ..steps import Buffer, Constant, Conv, Operand, Pack, Pool, Signs, Unsupported
from .graph import Chosen, Lowering, given, operation


def geometry_of(said: dict[str, Any], kernel: Sequence[int]) -> dict[str, tuple[int, int]]:
    """Stride, padding and dilation over (height, width) as ONNX says them; a series has height 1."""
    one = len(kernel) == 1
    pads = said.get("pads", [0] * 2 * len(kernel))
    auto = said.get("auto_pad", b"NOTSET")
    if auto not in (b"NOTSET", "NOTSET", b"VALID", "VALID") or pads[: len(kernel)] != pads[len(kernel) :]:
        raise Unsupported("padding that differs on two sides")
    stride, dilation = (said.get(k, [1] * len(kernel)) for k in ("strides", "dilations"))
    lead = lambda values, blank: (blank, int(values[0])) if one else (int(values[0]), int(values[1]))  # noqa: E731
    return {
        "kernel": lead(kernel, 1),
        "stride": lead(stride, 1),
        "pad": lead(pads[: len(kernel)], 0),
        "dilation": lead(dilation, 1),
    }


@operation("Conv")
def _conv(low: Lowering, node: Any, said: Any) -> Tensor:
    weights = low.number(node.input[1])  # (outputs, channels, kernel...)
    if weights.ndim not in (3, 4):
        raise Unsupported(f"a convolution over {weights.ndim - 2} axes")
    groups, kernel = said.get("group", 1), weights.shape[2:]
    outputs, channels = weights.shape[:2]
    how = Convolution(channels, outputs, groups=groups, **geometry_of(said, kernel))
    laid = weights.reshape(outputs, channels, *how.kernel).transpose(2, 3, 1, 0)  # (kh, kw, channels, outputs)
    if node.input[0] in low.signs and np.all(np.abs(weights) == 1.0):
        found = binary(low, low.signs[node.input[0]], laid, how)
    else:
        found = plain(low, node.input[0], np.ascontiguousarray(laid, np.float32), how, weights.ndim - 2)
    if given(node, 2):
        bias = low.number(node.input[2]).reshape([-1] + [1] * (weights.ndim - 2))
        found = low.map("plus", found, constant(bias.astype(np.float32)))
    return found


def plain(low: Lowering, name: str, laid: np.ndarray, how: Convolution, axes: int) -> Tensor:
    """A convolution of plain numbers."""
    t, starts = low.windows(name)
    size = (1, t.shape[2]) if axes == 1 else (t.shape[2], t.shape[3])
    after = how.after(*size)
    out, gives = low.place(t, how.outputs, after[2 - axes :], starts)
    weights = Operand(Constant(laid))
    each = how.outputs * after[0] * after[1]
    for n, start in enumerate(starts):
        low.steps.append(Conv(Operand(out, n * each), how, size, Operand(t.source, t.start + start), weights))
    return gives


def binary(low: Lowering, chosen: Chosen, laid: np.ndarray, how: Convolution) -> Tensor:
    """A convolution of signs: packed once for all that read them."""
    around = chosen.pad or (0,) * 4
    how = replace(how, pad=(how.pad[0] + around[-2], how.pad[1] + around[-1]))
    if (
        len(chosen.of.axes) != 4
        or any(around[:2])
        or merged(chosen.of.axes[0]) != (Atom(BATCH, 0),)
        or laid.shape[:2] != how.kernel
    ):
        raise Unsupported("a binary convolution over other axes than (batch, channels, height, width)")
    t = low.settled(chosen.of, [0, 2, 3, 1])
    size = (t.shape[2], t.shape[3])
    level = chosen.threshold.array
    if level is None or level.size not in (1, t.shape[1]):
        raise Unsupported("thresholds of signs that differ by place")
    threshold = np.ascontiguousarray(np.broadcast_to(level.reshape(-1), (t.shape[1],)), np.float32)
    key = (id(t.source), t.start, how.groups, threshold.tobytes())
    if key not in low.packed:
        low.packed[key] = Buffer(2 * size[0] * size[1] * how.groups * how.words)
        at = Operand(Constant(threshold)) if threshold.any() else Operand(None)
        low.steps.append(Pack(Operand(low.packed[key]), size[0] * size[1], how.groups, how.channels, t.operand, at))
    rows = signs.pack(np.ascontiguousarray(laid.transpose(3, 0, 1, 2), np.float32)).reshape(how.outputs, -1)
    panels = np.stack([signs.panels(part) for part in np.split(rows, how.groups)])
    after = how.after(*size)
    out, gives = low.place(t, how.outputs, after, [0])
    scratch = Buffer(2 * 8 * how.kernel[0] * how.kernel[1] * how.words)
    low.steps.append(Signs(Operand(out), how, size, Operand(low.packed[key]), Operand(Constant(panels)), scratch))
    return gives


@operation("AveragePool", "MaxPool")
def _pool(low: Lowering, node: Any, said: Any) -> Tensor:
    kernel, ceil = said["kernel_shape"], bool(said.get("ceil_mode"))
    if len(kernel) > 2:
        raise Unsupported("pooling over such windows")
    t, starts = low.windows(node.input[0])
    channels = t.shape[1]
    how = Convolution(1, channels, **geometry_of(said, kernel))
    size = (1, t.shape[2]) if len(kernel) == 1 else (t.shape[2], t.shape[3])
    after = how.after(*size)
    if ceil:  # a window more where the last one begins inside
        over = [
            (n + 2 * p - k) % s != 0 and (m * s - p) < n
            for n, p, k, s, m in zip(size, how.pad, how.kernel, how.stride, after)
        ]
        after = (after[0] + over[0], after[1] + over[1])
    counted = said.get("count_include_pad") and any(how.pad)
    if counted and ceil:
        raise Unsupported("a mean over padding and past the edge")
    kind = "most" if node.op_type == "MaxPool" else "mean" if counted else "mean inside"
    out, gives = low.place(t, channels, after[2 - len(kernel) :], starts)
    each = channels * after[0] * after[1]
    for n, start in enumerate(starts):
        low.steps.append(Pool(Operand(out, n * each), kind, how, size, after, Operand(t.source, t.start + start)))
    return gives
