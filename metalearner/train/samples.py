"""Rows as torch: the folds of a fit in one place, the slice early stopping watches, the order of an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ..arrays import Fold, Tensors, take
from ..kinds import Output
from ..records import View

Input = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]  # values, codes, mask of one view

# The slice of a fold's training rows that early stopping looks at.
WATCHED = 0.15
# Batches whose rows are dealt anew by length.
STRETCH = 16


class Samples:
    """The rows of several folds, one after the other, so that one gather serves models of different folds."""

    def __init__(self, parts: Sequence[tuple[Tensors, np.ndarray]], views: Mapping[str, View]) -> None:
        """`parts` are tensors and encoded target of each fold; all folds have these views."""
        given = [inputs(tensors, views, as_they_are=True) for tensors, _ in parts]
        self.views = [_joined([one[v] for one in given]) for v in range(len(views))]
        self.target = torch.cat([as_target(target) for _, target in parts])
        self.lengths = [len(target) for _, target in parts]
        self.starts = np.cumsum([0, *self.lengths]).tolist()
        masks = [mask for _, _, mask in self.views if mask is not None]
        self.steps = torch.stack([mask.sum(1) for mask in masks]).sum(0) if masks else None  # what there is of each row

    def take(self, rows: torch.Tensor) -> tuple[list[Input], torch.Tensor]:
        """Rows (K, B), counted from the first of all, to inputs (K, B, ...) and target (K, B)."""
        flat = rows.flatten()

        def gather(tensor: torch.Tensor) -> torch.Tensor:
            found = tensor.index_select(0, flat).unflatten(0, rows.shape)
            return found.float() if found.dtype == torch.float16 else found

        found = [tuple(None if t is None else gather(t) for t in view) for view in self.views]
        return found, gather(self.target)  # type: ignore[return-value]


def _joined(parts: Sequence[Input]) -> Input:
    if len(parts) == 1:
        return parts[0]
    return tuple(None if of_part[0] is None else torch.cat(of_part) for of_part in zip(*parts))  # type: ignore


def inputs(tensors: Tensors, views: Mapping[str, View], as_they_are: bool = False) -> list[Input]:
    """NumPy tensors to torch, in the order of the views; values as float32, or half as long where they are and may stay so."""
    found = []
    for name in views:
        t = tensors[name]
        kind = np.float16 if as_they_are and t.values.dtype == np.float16 else np.float32
        found.append((
            torch.from_numpy(np.ascontiguousarray(t.values, kind)),
            None if t.codes is None else torch.from_numpy(np.ascontiguousarray(t.codes, np.int64)),
            None if t.mask is None else torch.from_numpy(np.ascontiguousarray(t.mask, np.bool_)),
        ))  # fmt: skip
    return found


def as_target(target: np.ndarray) -> torch.Tensor:
    """Codes as int64, anything else as float32."""
    return torch.from_numpy(np.array(target, np.int64 if target.dtype.kind == "i" else np.float32))


def split(fold: Fold, output: Output, seed: int) -> tuple[tuple[Tensors, np.ndarray], tuple[Tensors, np.ndarray]]:
    """A fold's training rows in two: those learnt from, and the slice that early stopping watches."""
    learnt, watched = watch_split(fold, output, seed)
    return (
        (take(fold.train, learnt), fold.train_target[learnt]),
        (take(fold.train, watched), fold.train_target[watched]),
    )


def watch_split(fold: Fold, output: Output, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the two, cut stratum by stratum."""
    rng = np.random.default_rng([seed, fold.index])
    strata = output.strata(fold.train_target)
    watched: list[np.ndarray] = []
    for s in np.unique(strata):
        rows = rng.permutation(np.flatnonzero(strata == s))
        watched.append(rows[: round(WATCHED * len(rows))])
    slice_ = np.sort(np.concatenate(watched))
    if len(slice_) < 4:
        slice_ = np.sort(rng.permutation(len(strata))[: max(1, len(strata) // 6)])
    return np.setdiff1d(np.arange(len(strata)), slice_), slice_


def seeded(*numbers: int) -> int:
    """One seed out of several numbers: what an epoch draws depends on which it is, not on what came before."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def side_by_side(order: torch.Tensor, lengths: torch.Tensor, batch: int, *numbers: int) -> torch.Tensor:
    """The same order (rows,), but rows of about one length share a batch: what is filled up costs as much as what is there.

    Rows are sorted within stretches of so many batches, so that which rows meet still differs from epoch to epoch.

    >>> side_by_side(torch.arange(4), torch.tensor([9, 1, 8, 2]), 2, 0).sort().values.tolist()
    [0, 1, 2, 3]
    """
    parts = []
    for stretch in order.split(STRETCH * batch):
        parts += stretch[lengths[stretch].argsort(stable=True)].split(batch)
    shuffled = permuted(len(parts), *numbers).tolist()
    if len(parts[-1]) < batch:  # the short one stays the last
        shuffled = [i for i in shuffled if i != len(parts) - 1] + [len(parts) - 1]
    return torch.cat([parts[i] for i in shuffled])


def permuted(rows: int, *numbers: int) -> torch.Tensor:
    """The order (rows,) that these numbers stand for."""
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seeded(*numbers)))
