"""The arrays that travel between stages: decoded fields, tensors, folds. NumPy only.

`Fields` are what a modality decodes, a column each. `Tensors` are what a transform makes of them, one
`Tensor` a view. In both, NaN marks a missing number. Where a view says that something raw lies beside it, the tensors hold
that under the view's name and RAW, in a type and width of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .records import View


@dataclass(frozen=True)
class Ragged:
    """Samples of unequal length: values (total, ...) cut at offsets (n + 1,)."""

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def pack(cls, samples: Sequence[np.ndarray]) -> Ragged:
        """Join samples (length_i, ...) along their first axis."""
        offsets = np.cumsum([0, *(len(s) for s in samples)]).astype(np.int64)
        return cls(np.concatenate(samples) if len(samples) else np.zeros((0, 1), np.float32), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> np.ndarray:
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    @property
    def lengths(self) -> np.ndarray:
        """Length of each sample, (n,)."""
        return np.diff(self.offsets)

    def take(self, rows: np.ndarray) -> Ragged:
        """The samples at these positions, in this order."""
        return Ragged.pack([self[int(i)] for i in rows])


Array = np.ndarray | Ragged


class Fields(Mapping[str, Array]):
    """Decoded columns of equal length by name: numbers float64, categories str, arrays (n, ...) or Ragged."""

    def __init__(self, columns: Mapping[str, Array]) -> None:
        self._columns = dict(columns)
        lengths = {len(c) for c in self._columns.values()}
        if len(lengths) > 1:
            raise ValueError(f"columns must have equal length, got {sorted(lengths)}")
        self.rows = lengths.pop() if lengths else 0

    def __getitem__(self, name: str) -> Array:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def take(self, rows: np.ndarray) -> Fields:
        """The rows at these positions, in this order."""
        rows = np.asarray(rows)
        return Fields({k: c.take(rows) if isinstance(c, Ragged) else c[rows] for k, c in self.items()})

    def without(self, *names: str) -> Fields:
        """All columns but these."""
        return Fields({k: c for k, c in self.items() if k not in names})

    @staticmethod
    def concat(parts: Sequence[Fields]) -> Fields:
        """Stack chunks with the same columns."""
        if not parts:
            return Fields({})
        return Fields({k: _join([p[k] for p in parts]) for k in parts[0]})

    def save(self, folder: Path) -> None:
        """Write one .npy a column (two for a ragged one), never pickled."""
        folder.mkdir(parents=True, exist_ok=True)
        names = []
        for i, (name, column) in enumerate(self.items()):
            names.append(name)
            if isinstance(column, Ragged):
                np.save(folder / f"{i}.values.npy", column.values, allow_pickle=False)
                np.save(folder / f"{i}.offsets.npy", column.offsets, allow_pickle=False)
            else:
                np.save(folder / f"{i}.npy", np.asarray(column), allow_pickle=False)
        np.save(folder / "names.npy", np.array(names, dtype=str), allow_pickle=False)

    @classmethod
    def open(cls, folder: Path) -> Fields:
        """Memory-map what `save` wrote."""
        columns: dict[str, Array] = {}
        for i, name in enumerate(np.load(folder / "names.npy")):
            whole = folder / f"{i}.npy"
            if whole.exists():
                columns[str(name)] = np.load(whole, mmap_mode="r")
            else:
                values = np.load(folder / f"{i}.values.npy", mmap_mode="r")
                columns[str(name)] = Ragged(values, np.load(folder / f"{i}.offsets.npy"))
        return cls(columns)


def _join(columns: Sequence[Array]) -> Array:
    if isinstance(columns[0], Ragged):
        return Ragged.pack([s for c in columns for s in c])
    return np.concatenate(columns)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Tensor:
    """One view of n samples.

    values: float32 (n, axes..., channels), NaN where missing.
    codes:  int64 (n, categories) or None; 0 is "missing or never seen", levels start at 1.
    mask:   bool (n, size of the ragged axis) or None; True where there is data.
    """

    values: np.ndarray
    codes: np.ndarray | None = None
    mask: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Tensor:
        """The samples at these positions."""
        return Tensor(
            self.values[rows],
            None if self.codes is None else self.codes[rows],
            None if self.mask is None else self.mask[rows],
        )

    def __len__(self) -> int:
        return len(self.values)


Tensors = dict[str, Tensor]

RAW = ".raw"


def take(tensors: Tensors, rows: np.ndarray) -> Tensors:
    """The samples at these positions, in every view."""
    return {name: t.take(rows) for name, t in tensors.items()}


def rows_of(tensors: Tensors) -> int:
    """How many samples the views hold."""
    return len(next(iter(tensors.values())))


@dataclass(frozen=True)
class Fold:
    """One fit: training rows, and the rows held out, through a transform fitted on the former alone.

    A learner may look at `valid` only to predict it: early stopping cuts its own slice out of `train`.
    """

    index: int
    views: Mapping[str, View]
    train: Tensors
    train_target: np.ndarray
    valid: Tensors
    valid_target: np.ndarray
    state: Mapping[str, object] = field(default_factory=dict)
