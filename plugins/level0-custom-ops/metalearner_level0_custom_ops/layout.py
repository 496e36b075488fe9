"""Tensors as views of memory: the axes a network speaks of, made of strides into what lies there. Nothing is moved in vain.

A tensor's axis is a list of atoms, each a size with a stride, or the batch, which always lies outermost in memory. Transposing,
reshaping and slicing change atoms alone; only a step that needs another order copies. In shapes the batch stands as a prime.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .steps import Constant, Operand, Source, Unsupported

BATCH = 1_000_003  # a prime no axis has


@dataclass(frozen=True)
class Atom:
    """A run along an axis. Stride 0 repeats; that of the batch is of no account."""

    size: int
    stride: int

    @property
    def batch(self) -> bool:
        """The batch itself."""
        return self.size == BATCH


Axis = tuple[Atom, ...]


@dataclass(frozen=True)
class Tensor:
    """What a network calls a tensor."""

    source: Source
    axes: tuple[Axis, ...]
    start: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, the batch as a prime."""
        return tuple(math.prod(a.size for a in axis) for axis in self.axes)

    @property
    def operand(self) -> Operand:
        """Where a step finds it."""
        return Operand(self.source, self.start)

    @property
    def array(self) -> np.ndarray | None:
        """What it holds, where that is known."""
        if not isinstance(self.source, Constant):
            return None
        flat = self.source.array.reshape(-1)[self.start :]
        atoms = [a for axis in self.axes for a in axis]
        shape, strides = [a.size for a in atoms], [a.stride * flat.itemsize for a in atoms]
        return np.lib.stride_tricks.as_strided(flat, shape, strides, writeable=False).reshape(self.shape)

    def transposed(self, order: Sequence[int]) -> Tensor:
        """Axes in another order."""
        return replace(self, axes=tuple(self.axes[i] for i in order))

    def part(self, axis: int, begin: int, many: int, step: int = 1) -> Tensor:
        """Some places along an axis; None of the batch can be left out. Raises Unsupported where the axis is no single run."""
        if (begin, many, step) == (0, self.shape[axis], 1):
            return self
        atoms = merged(self.axes[axis])
        if len(atoms) != 1 or atoms[0].batch:
            raise Unsupported("a part of an axis that holds the batch or is no single run")
        one = Atom(many, atoms[0].stride * step)
        axes = (*self.axes[:axis], (one,), *self.axes[axis + 1 :])
        return replace(self, axes=axes, start=self.start + begin * atoms[0].stride)

    def reshaped(self, shape: Sequence[int]) -> Tensor | None:
        """The same numbers under other axes; None where memory would have to be moved."""
        atoms = [a for axis in self.axes for a in axis if a.size != 1]
        axes: list[Axis] = []
        left = list(atoms)
        for size in shape:
            axis: list[Atom] = []
            need = size
            while need > 1:
                if not left:
                    return None
                atom = left.pop(0)
                if need % atom.size == 0:
                    axis.append(atom)
                    need //= atom.size
                elif not atom.batch and atom.size % need == 0:
                    axis.append(Atom(need, atom.stride * (atom.size // need)))
                    left.insert(0, Atom(atom.size // need, atom.stride))
                    need = 1
                elif left and not atom.batch and not left[0].batch and atom.stride == left[0].size * left[0].stride:
                    left[0] = Atom(atom.size * left[0].size, left[0].stride)
                else:
                    return None
            axes.append(tuple(axis))
        return None if left else replace(self, axes=tuple(axes))


def whole(source: Source, shape: Sequence[int], order: Sequence[int] | None = None) -> Tensor:
    """A tensor that fills its memory; `order` names its axes from the outermost to the innermost, batch left out."""
    order = [i for i in (order if order is not None else range(len(shape))) if shape[i] != BATCH]
    strides, step = dict.fromkeys(range(len(shape)), 0), 1
    for i in reversed(order):
        strides[i], step = step, step * shape[i]
    return Tensor(source, tuple((Atom(size, strides[i]),) for i, size in enumerate(shape)))


def constant(array: np.ndarray) -> Tensor:
    """A known tensor."""
    array = np.asarray(array, order="C")
    return whole(Constant(array), array.shape)


def numbers_in(shape: Sequence[int]) -> int:
    """Of one row."""
    return math.prod(1 if size == BATCH else size for size in shape)


def merged(axis: Axis) -> Axis:
    """Runs that go on where the one before ends are one."""
    found: list[Atom] = []
    for atom in axis:
        if atom.size == 1:
            continue
        if found and not atom.batch and not found[-1].batch and found[-1].stride == atom.size * atom.stride:
            found[-1] = Atom(found[-1].size * atom.size, atom.stride)
        else:
            found.append(atom)
    return tuple(found)


def broadcast(tensors: Sequence[Tensor]) -> list[list[tuple[Atom, ...]]]:
    """By axis the runs that all tensors share, each a tuple with an atom for every tensor; stride 0 where one is repeated."""
    rank = max(len(t.axes) for t in tensors)
    padded = [((),) * (rank - len(t.axes)) + t.axes for t in tensors]
    return [aligned([p[i] for p in padded]) for i in range(rank)]


def aligned(axes: Sequence[Axis]) -> list[tuple[Atom, ...]]:
    """Axes cut at the same places; those of size 1 repeat."""
    left = [[a for a in axis if a.size != 1] for axis in axes]
    repeats = [not atoms for atoms in left]
    found = []
    while any(left):
        size = min(atoms[0].size for atoms in left if atoms)
        if size == BATCH and any(atoms and not atoms[0].batch for atoms in left):
            raise Unsupported("the batch beside another axis")
        row = []
        for atoms, repeat in zip(left, repeats):
            if repeat:
                row.append(Atom(size, 0))
                continue
            if not atoms:
                raise Unsupported("axes of different lengths")
            atom = atoms[0]
            if atom.size % size or (atom.batch and size != BATCH):
                raise Unsupported("axes that are cut at different places")
            row.append(Atom(size, atom.stride * (atom.size // size)))
            if atom.size == size:
                atoms.pop(0)
            else:
                atoms[0] = Atom(atom.size // size, atom.stride)
        found.append(tuple(row))
    return found
