"""From ONNX to steps: each operation of a graph as views and as few steps as there are numbers to compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from . import signs
from .layout import BATCH, Atom, Tensor, aligned, broadcast, constant, merged, numbers_in, whole
from .signs import Convolution
from .steps import (
    Buffer,
    Constant,
    Conv,
    Gather,
    Map,
    Matmul,
    Operand,
    Pack,
    Pool,
    Reduce,
    Signs,
    Step,
    Unsupported,
)  # fmt: skip

RANK = 8  # axes that a step walks
COPIES = 64  # convolutions that one becomes where other axes lie in its batch
# Operations of ONNX that are one step for each place.
ONE = {
    "Neg": "negate", "Abs": "absolute", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Reciprocal": "reciprocal", "Relu": "relu",
    "Sigmoid": "sigmoid", "Tanh": "tanh", "Erf": "erf", "Floor": "floor", "Round": "round", "Not": "not", "Sign": "sign",
    "Softplus": "softplus", "Sin": "sine", "Cos": "cosine", "IsNaN": "is_nan",
}  # fmt: skip
TWO = {
    "Add": "plus", "Sub": "minus", "Mul": "times", "Div": "over", "Pow": "power", "Less": "less", "Greater": "greater",
    "GreaterOrEqual": "at_least", "LessOrEqual": "at_most", "Equal": "same", "And": "both", "Or": "either", "Max": "larger",
    "Min": "smaller", "Sum": "plus",
}  # fmt: skip
REDUCING = {
    "ReduceSum": "sum",
    "ReduceMean": "mean",
    "ReduceMax": "most",
    "ReduceMin": "least",
    "ReduceProd": "product",
}
SAME = ("Identity", "Dropout")


@dataclass(frozen=True)
class Chosen:
    """Signs that nobody has computed yet: +1 where `of` is at least `threshold`, else -1; on each axis `pad` of -1 on both sides."""

    of: Tensor
    threshold: Tensor
    pad: tuple[int, ...] = ()


@dataclass
class Lowering:
    """The steps so far, and what is known of each name of the graph."""

    known: dict[str, Tensor]
    steps: list[Step] = field(default_factory=list)
    compared: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)  # at least a constant; put off, too
    signs: dict[str, Chosen] = field(default_factory=dict)
    packed: dict[Any, Buffer] = field(default_factory=dict)

    # ---- what all operations use ----

    def tensor(self, name: str) -> Tensor:
        """What a name stands for; signs that were put off are computed now."""
        if name not in self.known and name in self.signs:
            chosen = self.signs[name]
            if any(chosen.pad):
                raise Unsupported("padded signs outside of a binary convolution")
            up = self.map("at_least", chosen.of, chosen.threshold)
            self.known[name] = self.map("choose", up, constant(np.float32(1)), constant(np.float32(-1)))
        if name not in self.known and name in self.compared:
            self.known[name] = self.map("at_least", *self.compared[name])
        if name not in self.known:
            raise Unsupported(f"'{name}', which nothing gives")
        return self.known[name]

    def number(self, name: str) -> np.ndarray:
        """A known array."""
        found = self.tensor(name).array
        if found is None:
            raise Unsupported("a shape or a number that depends on the data")
        return found

    def map(self, kind: str, *given: Tensor) -> Tensor:
        """A step over all places, in the order in which the first of the data lies in memory."""
        axes = broadcast(given)
        runs = [(i, row) for i, axis in enumerate(axes) for row in axis]
        lead = next(n for n, t in enumerate(given) if t.array is None)
        data = [(i, row) for i, row in runs if not row[lead].batch]
        data.sort(key=lambda run: -max(run[1][lead].stride, 0))  # repeats come last
        out = Buffer(math.prod(row[lead].size for _, row in data))
        step, placed = 1, {}
        for n in reversed(range(len(data))):
            placed[id(data[n][1])] = step
            step *= data[n][1][lead].size
        gives = tuple(
            tuple(Atom(row[lead].size, placed.get(id(row), 0)) for i, row in runs if i == at) for at in range(len(axes))
        )
        rows = [(Atom(row[lead].size, placed[id(row)]), *row) for _, row in data]
        shape, strides = collapsed(rows, 1 + len(given))
        read = [t.operand for t in given]
        self.steps.append(Map(Operand(out), kind, shape, strides, *read))
        return Tensor(out, gives)

    def settled(self, t: Tensor, order: Sequence[int]) -> Tensor:
        """The same tensor lying whole in memory, its axes in this order from the outermost in; copied only if need be."""
        there = whole(t.source, t.shape, order)
        if [merged(a) for a in t.axes] == [merged(a) for a in there.axes] and t.start == 0 and t.array is None:
            return t
        if t.array is not None:
            array = np.ascontiguousarray(t.array.transpose(order))
            return whole(Constant(array), t.shape, order)
        out = whole(Buffer(numbers_in(t.shape)), t.shape, order)
        self.copy(t, out)
        return out

    def copy(self, t: Tensor, to: Tensor) -> None:
        """Write a tensor where another lies."""
        rows = [row for axis in broadcast([to, t]) for row in axis if not row[0].batch]
        shape, strides = collapsed(rows, 2)
        self.steps.append(Map(to.operand, "copy", shape, strides, t.operand))

    def reshape(self, name: str, shape: Sequence[int]) -> Tensor:
        """Under other axes; copied where memory has to move."""
        t = self.tensor(name)
        wanted, all_of = list(map(int, shape)), math.prod(t.shape)
        if -1 in wanted:
            wanted[wanted.index(-1)] = all_of // max(1, -math.prod(wanted))
        found = t.reshaped(wanted)
        if found is None:
            found = self.settled(t, range(len(t.axes))).reshaped(wanted)
        if found is None:
            raise Unsupported(f"a reshape from {t.shape} to {tuple(wanted)}")
        return found

    # ---- sums of products ----

    def contract(self, a: Tensor, b: Tensor, where: Sequence[tuple[int | None, int | None, str]]) -> Tensor:
        """Sum of products: `where` pairs axes of a and b, each "batch", "rows" (of a alone), "columns" (of b), "sum"."""
        runs: dict[str, list[tuple[Atom, Atom]]] = {"batch": [], "rows": [], "columns": [], "sum": []}
        gives: list[tuple[str, list[tuple[Atom, Atom]]]] = []
        for i, j, role in where:
            mine = a.axes[i] if i is not None else ()
            other = b.axes[j] if j is not None else ()
            cut = [(row[0], row[1]) for row in aligned([mine, other])]
            runs[role] += cut
            if role != "sum":
                gives.append((role, cut))
        for role in ("rows", "columns", "sum"):
            own = 1 if role == "columns" else 0
            runs[role].sort(key=lambda pair: (not pair[own].batch, -pair[own].stride))
        tight = {role: tightened([p for p in runs[role] if not p[0].batch]) for role in runs}
        if len(tight["columns"]) > 1 or len(tight["sum"]) > 1:
            # What cannot be walked as one run is laid out anew; that of a constant costs nothing.
            a, b, where = self._laid(a, b, where)
            return self.contract(a, b, where)
        outer = [*tight["batch"], *tight["rows"][:-1]]
        one = (Atom(1, 0), Atom(1, 0))
        row, column, summed = (tight[r][-1] if tight[r] else one for r in ("rows", "columns", "sum"))
        shape = tuple(p[0].size for p in outer)
        size = (row[0].size, column[0].size, summed[0].size)
        out = Buffer(math.prod(shape) * size[0] * size[1])
        self.steps.append(
            Matmul(Operand(out), shape, size, a.operand, (*(p[0].stride for p in outer), row[0].stride, summed[0].stride),
                   b.operand, (*(p[1].stride for p in outer), summed[1].stride, column[1].stride))
        )  # fmt: skip
        # What comes out lies in the order of batch, rows, columns.
        strides, step = {}, 1
        for role in ("columns", "rows", "batch"):
            for pair in reversed([p for p in runs[role] if not p[0].batch]):
                strides[id(pair)] = step
                step *= pair[0].size
        axes = tuple(tuple(Atom(p[0].size, strides.get(id(p), 0)) for p in cut) for _, cut in gives)
        return Tensor(out, axes)

    def _laid(self, a: Tensor, b: Tensor, where: Any) -> tuple[Tensor, Tensor, Any]:
        first = [i for i, _, role in where if i is not None and role in ("batch", "rows")]
        last = [i for i, _, role in where if i is not None and role == "sum"]
        other = [j for _, j, role in where if j is not None and role == "batch"]
        summed = [j for _, j, role in where if j is not None and role == "sum"]
        columns = [j for _, j, role in where if j is not None and role == "columns"]
        laid = (self.settled(a, [*first, *last]), self.settled(b, [*other, *summed, *columns]))
        if laid[0] is a and laid[1] is b:
            raise Unsupported("a product over axes that are no single run")
        return *laid, where

    # ---- windows ----

    def windows(self, name: str) -> tuple[Tensor, list[int]]:
        """A (batch, channels, height?, width) tensor with its channels innermost, and where other rows of its batch begin."""
        t = self.tensor(name)
        rank = len(t.axes)
        t = self.settled(t, [0, *range(2, rank), 1])
        starts = [0]
        for atom in t.axes[0]:
            if not atom.batch and atom.size > 1:
                starts = [s + i * atom.stride for s in starts for i in range(atom.size)]
        if len(starts) > COPIES:
            raise Unsupported(f"a convolution over {len(starts)} rows that lie in the batch")
        return t, starts

    def place(self, t: Tensor, channels: int, size: tuple[int, ...], starts: Sequence[int]) -> tuple[Buffer, Tensor]:
        """Memory for what windows give: (batch, channels, height?, width), channels innermost."""
        each = channels * math.prod(size)
        out = Buffer(each * len(starts))
        others = [a for a in t.axes[0] if not a.batch and a.size > 1]
        step, batch = each * len(starts), []
        for atom in t.axes[0]:
            if atom.batch:
                batch.append(Atom(BATCH, 0))
            elif atom in others:
                step //= atom.size
                batch.append(Atom(atom.size, step))
        strides = [channels * math.prod(size[i + 1 :]) for i in range(len(size))]
        axes = (tuple(batch), (Atom(channels, 1),), *((Atom(n, s),) for n, s in zip(size, strides)))
        return out, Tensor(out, axes)


def collapsed(rows: Sequence[tuple[Atom, ...]], many: int) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Runs with an atom for each of `many` operands, walked in as few axes as can be: shape, strides of each."""
    found: list[list[int]] = []
    for row in rows:
        size = row[0].size
        if size == 1:
            continue
        strides = [a.stride for a in row]
        if found and all(outer == size * inner for outer, inner in zip(found[-1][1:], strides)):
            found[-1] = [found[-1][0] * size, *strides]
        else:
            found.append([size, *strides])
    found = found or [[1] + [0] * many]
    if len(found) > RANK:
        raise Unsupported(f"a step over {len(found)} axes")
    return tuple(f[0] for f in found), tuple(tuple(f[1 + k] for f in found) for k in range(many))


def tightened(pairs: Sequence[tuple[Atom, Atom]]) -> list[tuple[Atom, Atom]]:
    """Runs of two operands that go on where the one before ends are one."""
    shape, strides = collapsed(list(pairs), 2)
    if not pairs or shape == (1,):
        return []
    return [(Atom(n, x), Atom(n, y)) for n, x, y in zip(shape, *strides)]


# ---- operations ------------------------------------------------------------------------------------------------------------

Operation = Callable[[Lowering, Any, dict[str, Any]], "Tensor | list[Tensor] | None"]
OPERATIONS: dict[str, Operation] = {}


def operation(*names: str) -> Callable[[Operation], Operation]:
    """Enter a function for these operations of ONNX."""

    def enter(function: Operation) -> Operation:
        OPERATIONS.update(dict.fromkeys(names, function))
        return function

    return enter


def given(node: Any, i: int) -> str:
    """The name of an input; empty where it is left out."""
    return node.input[i] if len(node.input) > i else ""


@operation(*ONE)
def _one(low: Lowering, node: Any, _: Any) -> Tensor:
    return low.map(ONE[node.op_type], low.tensor(node.input[0]))


@operation(*TWO)
def _two(low: Lowering, node: Any, _: Any) -> Tensor | None:
    kind = TWO[node.op_type]
    found = low.tensor(node.input[0])
    if kind == "at_least" and found.array is None and (least := low.tensor(node.input[1])).array is not None:
        low.compared[node.output[0]] = (found, least)
        return None
    for name in node.input[1:]:
        found = low.map(kind, found, low.tensor(name))
    return found


@operation(*SAME, "Cast")
def _same(low: Lowering, node: Any, said: Any) -> Tensor | None:
    """Numbers are float32 whatever they are called; whole ones come from a cast toward zero."""
    if node.input[0] in low.signs:
        low.signs[node.output[0]] = low.signs[node.input[0]]
        return None
    t = low.tensor(node.input[0])
    if node.op_type == "Cast" and said.get("to") in (6, 7) and t.array is None:
        return low.map("times", low.map("floor", low.map("absolute", t)), low.map("sign", t))
    return t


@operation("IsInf")
def _is_infinite(low: Lowering, node: Any, _: Any) -> Tensor:
    return low.map("same", low.map("absolute", low.tensor(node.input[0])), constant(np.float32(np.inf)))


@operation("Clip")
def _clip(low: Lowering, node: Any, said: Any) -> Tensor:
    found = low.tensor(node.input[0])
    for i, (kind, name) in enumerate((("larger", "min"), ("smaller", "max")), 1):
        if given(node, i) or name in said:
            bound = low.tensor(node.input[i]) if given(node, i) else constant(np.float32(said[name]))
            found = low.map(kind, found, bound)
    return found


@operation("Where")
def _where(low: Lowering, node: Any, _: Any) -> Tensor | None:
    if node.input[0] in low.compared:
        up, down = (low.tensor(name).array for name in node.input[1:])
        if up is not None and down is not None and up.size == down.size == 1 and (up.item(), down.item()) == (1, -1):
            low.signs[node.output[0]] = Chosen(*low.compared[node.input[0]])
            return None
    return low.map("choose", *(low.tensor(name) for name in node.input))


@operation("LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "HardSigmoid", "HardSwish", "Gelu", "Mish")
def _bent(low: Lowering, node: Any, said: Any) -> Tensor:
    """Activations made of simpler ones."""
    x, kind = low.tensor(node.input[0]), node.op_type
    say = lambda value: constant(np.float32(value))  # noqa: E731
    if kind in ("LeakyRelu", "PRelu"):
        slope = low.tensor(node.input[1]) if kind == "PRelu" else say(said.get("alpha", 0.01))
        return low.map("choose", low.map("greater", x, say(0)), x, low.map("times", x, slope))
    if kind in ("Elu", "Selu", "Celu"):
        alpha = said.get("alpha", 1.6732632 if kind == "Selu" else 1.0)
        scale = said.get("gamma", 1.0507010) if kind == "Selu" else 1.0
        inner = low.map("over", x, say(alpha)) if kind == "Celu" else x
        below = low.map(
            "times", low.map("minus", low.map("exp", low.map("smaller", inner, say(0))), say(1)), say(alpha)
        )
        return low.map("times", low.map("choose", low.map("greater", x, say(0)), x, below), say(scale))
    if kind == "HardSigmoid":
        line = low.map("plus", low.map("times", x, say(said.get("alpha", 0.2))), say(said.get("beta", 0.5)))
        return low.map("smaller", low.map("larger", line, say(0)), say(1))
    if kind == "HardSwish":
        return low.map("times", x, low.map("hardsigmoid", x))
    if kind == "Mish":
        return low.map("times", x, low.map("tanh", low.map("softplus", x)))
    if said.get("approximate", b"none") not in (b"none", "none"):
        raise Unsupported("an approximate Gelu")
    half = low.map("plus", low.map("erf", low.map("times", x, say(math.sqrt(0.5)))), say(1))
    return low.map("times", low.map("times", x, half), say(0.5))


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


# ---- shapes ----


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


# ---- products ----


@operation("MatMul")
def _matmul(low: Lowering, node: Any, _: Any) -> Tensor:
    a, b = low.tensor(node.input[0]), low.tensor(node.input[1])
    many = max(len(a.axes), len(b.axes)) - 2
    where: list[tuple[int | None, int | None, str]] = []
    for i in range(many):
        mine, other = i - many + len(a.axes) - 2, i - many + len(b.axes) - 2
        shared = other >= 0 and b.shape[other] != 1
        role = "batch" if shared else "rows"
        where.append((mine if mine >= 0 else None, other if other >= 0 else None, role))
    rank, other_rank = len(a.axes), len(b.axes)
    where += [(rank - 2, None, "rows"), (None, other_rank - 1, "columns"), (rank - 1, other_rank - 2, "sum")]
    return low.contract(a, b, where)


@operation("Gemm")
def _gemm(low: Lowering, node: Any, said: Any) -> Tensor:
    a, b = low.tensor(node.input[0]), low.tensor(node.input[1])
    a = a.transposed((1, 0)) if said.get("transA") else a
    b = b.transposed((1, 0)) if said.get("transB") else b
    found = low.contract(a, b, [(0, None, "rows"), (None, 1, "columns"), (1, 0, "sum")])
    if said.get("alpha", 1.0) != 1.0:
        found = low.map("times", found, constant(np.float32(said["alpha"])))
    if not given(node, 2):
        return found
    plus = low.tensor(node.input[2])
    return low.map(
        "plus",
        found,
        plus if said.get("beta", 1.0) == 1.0 else low.map("times", plus, constant(np.float32(said["beta"]))),
    )


@operation("Einsum")
def _einsum(low: Lowering, node: Any, said: Any) -> Tensor:
    text = said["equation"].decode() if isinstance(said["equation"], bytes) else said["equation"]
    takes, _, gives = text.replace(" ", "").partition("->")
    sides = takes.split(",")
    if len(sides) != 2 or "." in text or any(len(set(s)) != len(s) for s in sides):
        raise Unsupported(f"the product '{text}'")
    a, b = low.tensor(node.input[0]), low.tensor(node.input[1])
    where: list[tuple[int | None, int | None, str]] = []
    for letter in gives + "".join(c for c in sides[0] if c not in gives):
        i = sides[0].index(letter) if letter in sides[0] else None
        j = sides[1].index(letter) if letter in sides[1] else None
        role = (
            "sum"
            if letter not in gives
            else "batch"
            if i is not None and j is not None
            else "rows"
            if j is None
            else "columns"
        )
        where.append((i, j, role))
    if any(c not in gives and c not in sides[0] for c in sides[1]):
        raise Unsupported(f"the product '{text}'")
    return low.contract(a, b, where)


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
