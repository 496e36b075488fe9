"""Sums along axes, and what is made of them: means, norms, softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..layout import BATCH, Atom, Tensor, constant, merged
from ..steps import Buffer, Operand, Reduce, Unsupported
from .graph import Lowering, collapsed, given, operation

REDUCING = {
    "ReduceSum": "sum",
    "ReduceMean": "mean",
    "ReduceMax": "most",
    "ReduceMin": "least",
    "ReduceProd": "product",
}


def reduced(low: Lowering, kind: str, t: Tensor, axes: Sequence[int], keep: bool) -> Tensor:
    """One number for each run along these axes."""
    axes = [a % len(t.axes) for a in axes]
    stays = [i for i in range(len(t.axes)) if i not in axes]
    gone = [a for i in axes for a in merged(t.axes[i])]
    if any(a.batch for a in gone):
        raise Unsupported("a sum over the batch")
    left = sorted((a for i in stays for a in merged(t.axes[i]) if not a.batch), key=lambda a: -a.stride)
    shape, (across,) = collapsed([(a,) for a in left], 1)
    away, (along,) = collapsed([(a,) for a in sorted(gone, key=lambda a: -a.stride)], 1)
    out = Buffer(math.prod(shape))
    low.steps.append(Reduce(Operand(out), kind, shape, away, t.operand, across, along))
    strides, step = {}, 1
    for atom in reversed(left):
        strides[id(atom)] = step
        step *= atom.size
    own = {i: tuple(a for a in merged(t.axes[i])) for i in stays}
    found, taken = {}, list(left)
    for i in stays:  # the same runs, with strides of where they came out
        axis = []
        for atom in own[i]:
            match = None if atom.batch else next(a for a in taken if a == atom)
            if match is not None:
                taken = [a for a in taken if a is not match]
            axis.append(Atom(BATCH, 0) if match is None else Atom(atom.size, strides[id(match)]))
        found[i] = tuple(axis)
    axes_after = [found.get(i, ()) for i in range(len(t.axes)) if i in found or keep]
    return Tensor(out, tuple(axes_after))


@operation("BatchNormalization")
def _batch_norm(low: Lowering, node: Any, said: Any) -> Tensor:
    x = low.tensor(node.input[0])
    weight, bias, mean, variance = (low.number(name).astype(np.float64) for name in node.input[1:5])
    by = weight / np.sqrt(variance + said.get("epsilon", 1e-5))
    around = [-1] + [1] * (len(x.axes) - 2)
    scaled = low.map("times", x, constant(by.astype(np.float32).reshape(around)))
    return low.map("plus", scaled, constant((bias - mean * by).astype(np.float32).reshape(around)))


@operation("LayerNormalization")
def _layer_norm(low: Lowering, node: Any, said: Any) -> Tensor:
    x = low.tensor(node.input[0])
    axes = list(range(said.get("axis", -1) % len(x.axes), len(x.axes)))
    apart = low.map("minus", x, reduced(low, "mean", x, axes, True))
    spread = reduced(low, "mean", low.map("times", apart, apart), axes, True)
    root = low.map("sqrt", low.map("plus", spread, constant(np.float32(said.get("epsilon", 1e-5)))))
    found = low.map("times", low.map("over", apart, root), low.tensor(node.input[1]))
    return low.map("plus", found, low.tensor(node.input[2])) if given(node, 2) else found


@operation(*REDUCING, "ReduceL2", "ReduceSumSquare")
def _reduce(low: Lowering, node: Any, said: Any) -> Tensor:
    t = low.tensor(node.input[0])
    named = low.number(node.input[1]).tolist() if given(node, 1) else said.get("axes")
    axes, keep = list(range(len(t.axes))) if named is None else named, bool(said.get("keepdims", 1))
    if node.op_type in REDUCING:
        return reduced(low, REDUCING[node.op_type], t, axes, keep)
    found = reduced(low, "sum", low.map("times", t, t), axes, keep)
    return low.map("sqrt", found) if node.op_type == "ReduceL2" else found


@operation("GlobalAveragePool", "GlobalMaxPool")
def _global(low: Lowering, node: Any, _: Any) -> Tensor:
    t = low.tensor(node.input[0])
    kind = "mean" if node.op_type == "GlobalAveragePool" else "most"
    return reduced(low, kind, t, range(2, len(t.axes)), True)


@operation("Softmax", "LogSoftmax")
def _softmax(low: Lowering, node: Any, said: Any) -> Tensor:
    x, axis = low.tensor(node.input[0]), [said.get("axis", -1)]
    apart = low.map("minus", x, reduced(low, "most", x, axis, True))
    raised = low.map("exp", apart)
    total = reduced(low, "sum", raised, axis, True)
    return (
        low.map("over", raised, total) if node.op_type == "Softmax" else low.map("minus", apart, low.map("log", total))
    )
