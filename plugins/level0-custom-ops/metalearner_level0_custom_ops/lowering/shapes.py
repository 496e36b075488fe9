"""Operations that change axes, choose places or put tensors beside each other; most of them move nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ..layout import BATCH, Atom, Tensor, constant, numbers_in, whole
from ..steps import Buffer, Gather, Operand, Unsupported
from .graph import Chosen, Lowering, given, operation


@operation("Shape")
def _shape(low: Lowering, node: Any, said: Any) -> Tensor:
    of = low.signs[node.input[0]].of if node.input[0] in low.signs else low.tensor(node.input[0])
    return constant(np.array(of.shape, np.int64)[said.get("start", 0) : said.get("end")])


@operation("Reshape")
def _reshape(low: Lowering, node: Any, _: Any) -> Tensor:
    wanted, shape = low.number(node.input[1]).tolist(), low.tensor(node.input[0]).shape
    return low.reshape(node.input[0], [shape[i] if n == 0 else n for i, n in enumerate(wanted)])


@operation("Flatten")
def _flatten(low: Lowering, node: Any, said: Any) -> Tensor:
    shape, axis = low.tensor(node.input[0]).shape, said.get("axis", 1)
    return low.reshape(node.input[0], [math.prod(shape[:axis]), math.prod(shape[axis:])])


@operation("Squeeze", "Unsqueeze")
def _squeeze(low: Lowering, node: Any, said: Any) -> Tensor:
    t = low.tensor(node.input[0])
    axes = low.number(node.input[1]).tolist() if given(node, 1) else said.get("axes")
    if node.op_type == "Squeeze":
        gone = [i for i, n in enumerate(t.shape) if n == 1] if axes is None else [a % len(t.axes) for a in axes]
        return replace(t, axes=tuple(a for i, a in enumerate(t.axes) if i not in gone))
    rank = len(t.axes) + len(axes)
    new, left = {a % rank for a in axes}, iter(t.axes)
    return replace(t, axes=tuple(() if i in new else next(left) for i in range(rank)))


@operation("Transpose")
def _transpose(low: Lowering, node: Any, said: Any) -> Tensor | None:
    name = node.input[0]
    if name in low.signs:
        chosen, rank = low.signs[name], len(low.signs[name].of.axes)
        order = said.get("perm", list(range(rank))[::-1])
        level = chosen.threshold
        level = replace(level, axes=((),) * (rank - len(level.axes)) + level.axes).transposed(order)
        pad = tuple(chosen.pad[i] for i in order) if chosen.pad else ()
        low.signs[node.output[0]] = Chosen(chosen.of.transposed(order), level, pad)
        return None
    t = low.tensor(name)
    return t.transposed(said.get("perm", list(range(len(t.axes)))[::-1]))


@operation("ConstantOfShape")
def _blank(low: Lowering, node: Any, said: Any) -> Tensor:
    import onnx

    value = onnx.numpy_helper.to_array(said["value"]).reshape(()) if "value" in said else np.float32(0)
    shape = low.number(node.input[0]).tolist()
    return replace(
        constant(value if value.dtype.kind in "iu" else np.float32(value)), axes=tuple((Atom(n, 0),) for n in shape)
    )


@operation("Expand")
def _expand(low: Lowering, node: Any, _: Any) -> Tensor:
    t, shape = low.tensor(node.input[0]), low.number(node.input[1]).tolist()
    axes = ((),) * (len(shape) - len(t.axes)) + t.axes
    rank = max(len(shape), len(t.axes))
    wanted = [1] * (rank - len(shape)) + shape
    return replace(
        t, axes=tuple(a if math.prod(x.size for x in a) != 1 else (Atom(n, 0),) for a, n in zip(axes, wanted))
    )


@operation("Slice")
def _slice(low: Lowering, node: Any, said: Any) -> Tensor:
    t = low.tensor(node.input[0])
    begins, ends = (
        low.number(node.input[i]).tolist() if given(node, i) else said[k] for i, k in ((1, "starts"), (2, "ends"))
    )
    axes = low.number(node.input[3]).tolist() if given(node, 3) else said.get("axes", list(range(len(begins))))
    steps = low.number(node.input[4]).tolist() if given(node, 4) else [1] * len(begins)
    for axis, begin, end, step in zip(axes, begins, ends, steps):
        places = range(t.shape[axis])[begin:end:step]
        t = t.part(axis % len(t.axes), places.start if len(places) else 0, len(places), step)
    return t


@operation("Split")
def _split(low: Lowering, node: Any, said: Any) -> list[Tensor]:
    t, axis, many = low.tensor(node.input[0]), said.get("axis", 0), len(node.output)
    axis %= len(t.axes)
    each = -(-t.shape[axis] // many)
    sizes = (
        low.number(node.input[1]).tolist()
        if given(node, 1)
        else [each] * (many - 1) + [t.shape[axis] - each * (many - 1)]
    )
    begins = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    return [t.part(axis, begin, size) for begin, size in zip(begins, sizes)]


@operation("Concat")
def _concat(low: Lowering, node: Any, said: Any) -> Tensor:
    parts = [low.tensor(name) for name in node.input]
    axis = said["axis"] % len(parts[0].axes)
    shape = list(parts[0].shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    if any(a.batch for a in parts[0].axes[axis]):
        raise Unsupported("rows put after rows")
    # In the order of the first part, so that channels that were innermost stay so.
    order = sorted(
        range(len(shape)), key=lambda i: -max((a.stride for a in parts[0].axes[i] if not a.batch), default=0)
    )
    out, begin = whole(Buffer(numbers_in(shape)), shape, order), 0
    for part in parts:
        low.copy(part, out.part(axis, begin, part.shape[axis]))
        begin += part.shape[axis]
    return out


@operation("Gather")
def _gather(low: Lowering, node: Any, said: Any) -> Tensor:
    t, index = low.tensor(node.input[0]), low.tensor(node.input[1])
    axis = said.get("axis", 0) % len(t.axes)
    if index.array is not None:
        return picked(low, t, axis, index.array)
    if axis or t.array is None or len(t.axes) != 2:
        raise Unsupported("numbers that choose from data, not from a table")
    index = low.settled(index, range(len(index.axes)))
    count, width = numbers_in(index.shape), t.shape[1]
    out = Buffer(count * width)
    table = low.settled(t, (0, 1))
    low.steps.append(Gather(Operand(out), count, width, t.shape[0], table.operand, index.operand, 1))
    return whole(out, (*index.shape, width))


def picked(low: Lowering, t: Tensor, axis: int, index: np.ndarray) -> Tensor:
    """Known places along an axis."""
    places = np.where(index < 0, index + t.shape[axis], index)
    flat = places.reshape(-1).tolist()
    steps = set(np.diff(flat).tolist())
    if len(flat) == 1 or (len(steps) == 1 and min(steps) > 0):
        found = t.part(axis, flat[0], len(flat), steps.pop() if steps else 1)
    else:
        shape = list(t.shape)
        shape[axis] = len(flat)
        found = whole(Buffer(numbers_in(shape)), shape)
        for n, place in enumerate(flat):
            low.copy(t.part(axis, place, 1), found.part(axis, n, 1))
    if places.ndim == 1:
        return found
    if places.ndim == 0:
        return replace(found, axes=(*found.axes[:axis], *found.axes[axis + 1 :]))
    shaped = found.reshaped([*t.shape[:axis], *places.shape, *t.shape[axis + 1 :]])
    if shaped is None:
        raise Unsupported("places chosen by a table of numbers")
    return shaped


@operation("Pad")
def _pad(low: Lowering, node: Any, said: Any) -> Tensor | None:
    name, mode = node.input[0], said.get("mode", b"constant")
    around = low.number(node.input[1]).tolist() if given(node, 1) else said["pads"]
    rank = len(around) // 2
    value = float(low.number(node.input[2])) if given(node, 2) else float(said.get("value", 0.0))
    if name in low.signs and value == -1.0 and around[:rank] == around[rank:]:
        chosen = low.signs[name]
        pad = tuple(a + b for a, b in zip(chosen.pad or (0,) * rank, around[:rank]))
        low.signs[node.output[0]] = replace(chosen, pad=pad)
        return None
    if mode not in (b"constant", "constant"):
        raise Unsupported(f"padding by '{mode}'")
    t = low.tensor(name)
    if not any(around):
        return t
    shape = [n if n == BATCH else n + around[i] + around[rank + i] for i, n in enumerate(t.shape)]
    order = sorted(range(rank), key=lambda i: -max((a.stride for a in t.axes[i] if not a.batch), default=0))
    out = whole(Buffer(numbers_in(shape)), shape, order)
    blank = replace(constant(np.float32(value)), axes=tuple((Atom(n, 0),) for n in shape))
    low.copy(blank, out)
    inner = out
    for i in range(rank):
        inner = inner.part(i, around[i], t.shape[i]) if t.shape[i] != shape[i] else inner
    low.copy(t, inner)
    return out
