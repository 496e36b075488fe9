"""What is known while a graph is walked: tensors, signs that were put off, the steps so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..layout import BATCH, Atom, Tensor, aligned, broadcast, constant, merged, numbers_in, whole
from ..steps import Buffer, Constant, Map, Matmul, Operand, Step, Unsupported

RANK = 8  # axes that a step walks
COPIES = 64  # convolutions that one becomes where other axes lie in its batch


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
