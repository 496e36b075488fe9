"""A prepared data set: training rows, folds and the rows kept apart, on disk and memory-mapped."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import Fields, Fold, Tensor, take
from .kinds import State, Transform
from .records import Column, DatasetCard, Finding, Schema, Task, View, plain


@dataclass(frozen=True)
class Dataset:
    """Everything learning may see. The sealed test is not in here."""

    card: DatasetCard
    task: Task
    schema: Schema  # inputs only, the target taken out
    label: Column  # the target's column
    state: dict[str, Any]  # of the Output, fitted on the training rows
    fields: Fields  # n training rows, decoded
    target: np.ndarray  # (n,) encoded
    folds: tuple[tuple[np.ndarray, np.ndarray], ...]  # (training rows, held-out rows) of each
    apart: np.ndarray  # rows in no fold, for conformal scores; empty where data is scarce
    findings: tuple[Finding, ...] = ()
    folder: Path | None = None  # where it lies once it is saved

    @property
    def rows(self) -> int:
        """Training rows, those kept apart included."""
        return len(self.target)

    def save(self, folder: Path) -> None:
        """Write arrays as .npy and the rest as JSON."""
        self.fields.save(folder / "fields")
        np.save(folder / "target.npy", self.target)
        np.save(folder / "apart.npy", self.apart)
        for i, (train, valid) in enumerate(self.folds):
            np.save(folder / f"fold{i}.train.npy", train)
            np.save(folder / f"fold{i}.valid.npy", valid)
        about = {"card": self.card, "task": self.task, "schema": self.schema, "state": self.state}
        about |= {"label": self.label, "folds": len(self.folds), "findings": self.findings}
        part = folder / "dataset.json.part"  # its final name says that everything else is there
        part.write_text(json.dumps(plain(about), indent=1))
        part.replace(folder / "dataset.json")

    @classmethod
    def open(cls, folder: Path) -> Dataset:
        """Read what `save` wrote; fields stay on disk until they are touched."""
        about = json.loads((folder / "dataset.json").read_text())
        folds = tuple(
            (np.load(folder / f"fold{i}.train.npy"), np.load(folder / f"fold{i}.valid.npy"))
            for i in range(about["folds"])
        )
        return cls(
            card=DatasetCard.from_json(about["card"]),
            task=Task.from_json(about["task"]),
            schema=Schema.from_json(about["schema"]),
            label=Column.from_json(about["label"]),
            state=about["state"],
            fields=Fields.open(folder / "fields"),
            target=np.load(folder / "target.npy"),
            folds=folds,
            apart=np.load(folder / "apart.npy"),
            findings=tuple(Finding.from_json(f) for f in about["findings"]),
            folder=folder,
        )

    def fold(self, index: int, transform: Transform) -> Fold:
        """One fold through a transform fitted on its training rows alone; prepared once, then memory-mapped."""
        if self.folder is None:
            return self._transformed(index, transform)
        prepared = self.folder / f"fold{index}.{transform.name}"
        if not prepared.exists():
            part = Path(tempfile.mkdtemp(prefix=f".fold{index}.", dir=self.folder))
            _save_fold(self._transformed(index, transform), part)
            try:
                part.rename(prepared)
            except OSError:  # another worker was faster: its arrays are the same
                shutil.rmtree(part)
        return _open_fold(prepared, index, self.target, self.folds[index])

    def transform_state(self, index: int, transform: Transform) -> State:
        """What a transform learnt from the training rows of a fold."""
        return dict(self.fold(index, transform).state)

    def _transformed(self, index: int, transform: Transform) -> Fold:
        train, valid = self.folds[index]
        seen = self.fields.take(train)
        state = transform.fit(seen, self.schema)
        return Fold(
            index=index,
            views=transform.views(state),
            train=transform.apply(state, seen),
            train_target=self.target[train],
            valid=transform.apply(state, self.fields.take(valid)),
            valid_target=self.target[valid],
            state=state,
        )

    def sample(self, rows: int, transform: Transform, seed: int = 0) -> tuple[Any, dict[str, Any], np.ndarray]:
        """Tensors, views and encoded target of at most `rows` rows drawn by chance."""
        chosen = np.sort(np.random.default_rng(seed).permutation(self.rows)[:rows])
        fields = self.fields.take(chosen)
        state = transform.fit(fields, self.schema)
        tensors = transform.apply(state, fields)
        return take(tensors, np.arange(len(chosen))), transform.views(state), self.target[chosen]


def _save_fold(fold: Fold, folder: Path) -> None:
    """A .npy for each array of each view, the rest as JSON."""
    arrays: dict[str, tuple[str, str, str]] = {}
    for side, tensors in (("train", fold.train), ("valid", fold.valid)):
        for view, tensor in tensors.items():
            for part in ("values", "codes", "mask"):
                if (array := getattr(tensor, part)) is not None:
                    arrays[f"{len(arrays)}"] = (side, view, part)
                    np.save(folder / f"{len(arrays) - 1}.npy", array, allow_pickle=False)
    about = {"views": fold.views, "state": fold.state, "arrays": arrays}
    (folder / "fold.json").write_text(json.dumps(plain(about)))


def _open_fold(folder: Path, index: int, target: np.ndarray, rows: tuple[np.ndarray, np.ndarray]) -> Fold:
    """What `_save_fold` wrote, its arrays mapped from the disk: two workers share one copy in memory."""
    about = json.loads((folder / "fold.json").read_text())
    found: dict[str, dict[str, dict[str, np.ndarray]]] = {"train": {}, "valid": {}}
    for name, (side, view, part) in about["arrays"].items():
        found[side].setdefault(view, {})[part] = np.load(folder / f"{name}.npy", mmap_mode="r")
    train, valid = ({v: Tensor(**parts) for v, parts in found[side].items()} for side in ("train", "valid"))
    views = {name: View.from_json(view) for name, view in about["views"].items()}
    return Fold(index, views, train, target[rows[0]], valid, target[rows[1]], about["state"])
