"""Nearest neighbours: a row is like those it lies next to. On features of a pretrained model often all that is needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import Fold, Tensors, take
from metalearner.foldwise import FoldwiseLearner, known_rows
from metalearner.kinds import Aim, Choice, Float, Int, Model, Production, Range, Rung
from metalearner.records import View

from . import flat
from .design import Design
from .kernel_ridge import PLAIN

# Numbers in a block of distances, and rows that are remembered at most: more are drawn from by chance.
AT_ONCE, MOST_ROWS = 4_000_000, 50_000


class Neighbours(Production):
    """How many neighbours speak, how they are found, and how much the near ones count for more."""

    name = "neighbours"
    symbol = "learner"
    tags = ("kernel", "cheap")

    def space(self) -> Mapping[str, Range]:
        """`sharpness` multiplies the logarithm of a neighbour's weight: 0 counts all alike."""
        return {
            "count": Int(1, 100, 15, log=True),
            "metric": Choice(("cosine", "euclidean")),
            "sharpness": Float(0.0, 30.0, 10.0),
        }


@dataclass(frozen=True)
class NeighbourModel(Model):
    """The rows that were learnt from, and what each says."""

    views: Mapping[str, View]
    design: Design
    rows: np.ndarray  # (m, p) as they are compared
    truth: np.ndarray  # (m, k) shares of the classes, or the one number
    prior: np.ndarray  # (k,) what is said where nobody knows; a little of it is in every answer about classes
    numbers: Mapping[str, Any]
    classifies: bool

    def predict(self, tensors: Tensors) -> np.ndarray:
        """Probabilities (n, classes) or the number (n, 1)."""
        numeric, codes = flat.numeric(tensors, self.views), flat.codes(tensors, self.views)
        found = np.zeros((len(numeric), self.truth.shape[1]))
        step = max(1, AT_ONCE // max(1, len(self.rows)))
        count = min(int(self.numbers["count"]), len(self.rows))
        for at in range(0, len(numeric), step):
            seen = _placed(self.design.matrix(numeric[at : at + step], codes[at : at + step]), self.numbers["metric"])
            nearness = 2 * seen @ self.rows.T - (self.rows**2).sum(
                axis=1
            )  # what all share of a row's own length is left out
            nearest = np.argpartition(-nearness, count - 1, axis=1)[:, :count]
            near = np.take_along_axis(nearness, nearest, 1).astype(np.float64)
            weight = np.exp(self.numbers["sharpness"] * (near - near.max(axis=1, keepdims=True)))
            said = np.einsum("nc,nck->nk", weight, self.truth[nearest])
            total = weight.sum(axis=1, keepdims=True)
            found[at : at + step] = (said + self.prior) / (total + 1) if self.classifies else said / total
        return found

    def save(self, folder: Path) -> None:
        """`neighbours.safetensors` and `neighbours.json`."""
        from safetensors.numpy import save_file

        arrays = {f"design.{k}": v for k, v in self.design.arrays().items()}
        arrays |= {"rows": self.rows, "truth": self.truth, "prior": self.prior}
        save_file(arrays, folder / "neighbours.safetensors")
        about = {"views": {k: v.to_json() for k, v in self.views.items()}, "classifies": self.classifies}
        (folder / "neighbours.json").write_text(json.dumps(about | {"numbers": dict(self.numbers)}))

    @classmethod
    def open(cls, folder: Path) -> NeighbourModel:
        """Read what `save` wrote."""
        from safetensors.numpy import load_file

        arrays = load_file(folder / "neighbours.safetensors")
        about = json.loads((folder / "neighbours.json").read_text())
        views = {k: View.from_json(v) for k, v in about.pop("views").items()}
        design = Design.from_arrays(
            {k.removeprefix("design."): v for k, v in arrays.items() if k.startswith("design.")}
        )
        return cls(views, design, arrays["rows"], arrays["truth"], arrays["prior"], **about)


class NeighbourLearner(FoldwiseLearner):
    """Remembers rows; the prediction is where the work is."""

    name = "neighbours"
    production = Neighbours()

    def fit_fold(
        self, numbers: Mapping[str, Any], fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[NeighbourModel, dict[str, Any]]:
        """One model; there is nothing to resume."""
        classifies = aim.output.name == "classification"
        rows, target = known_rows(fold, aim)
        kept = np.sort(np.random.default_rng([upto.seed, fold.index]).permutation(len(rows))[:MOST_ROWS])
        rows, target = rows[kept], target[kept]
        chosen = take(fold.train, rows)
        if classifies:
            truth = np.eye(aim.output.width(aim.state))[target]
        else:
            truth = np.asarray(target, np.float64)[:, None]
        design, matrix = Design.fit(
            flat.numeric(chosen, fold.views), flat.codes(chosen, fold.views), truth.astype(np.float64), PLAIN
        )
        seen = _placed(matrix, numbers["metric"])
        model = NeighbourModel(fold.views, design, seen, truth, truth.mean(axis=0), dict(numbers), classifies)
        facts = {"parameters": seen.size, "iterations": 1, "rows": len(rows)}
        return model, facts | {"stopped_early": len(rows) < len(fold.train_target)}

    def load(self, folder: Path, aim: Aim) -> NeighbourModel:
        """Read back what `save` wrote."""
        return NeighbourModel.open(folder)


def _placed(matrix: np.ndarray, metric: str) -> np.ndarray:
    """Rows (n, p) as they are compared, float32: of length 1 where only their direction counts."""
    if metric == "cosine":
        matrix = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    return np.ascontiguousarray(matrix, np.float32)
