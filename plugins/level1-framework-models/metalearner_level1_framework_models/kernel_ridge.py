"""Kernel ridge regression on landmarks (Nystrom): smooth functions of all columns at once, strong where rows are few.

Rows are compared with some of themselves; what the comparisons give is whitened, so that a ridge on it is the kernel
machine (Williams and Seeger 2001). Penalty and temperature come from leave-one-out scores in closed form.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import Fold, Tensors, take
from metalearner.foldwise import FoldwiseLearner, known_rows, softmax, to_all_classes
from metalearner.kinds import Aim, Choice, Float, Int, Model, Production, Range, Rung
from metalearner.records import View

from . import flat, leave_one_out
from .design import Design

# Rows of an evaluation at once, in numbers of its kernel matrix.
AT_ONCE = 4_000_000
# Multiplications a second, a cautious guess for when little time is left, and the fewest landmarks and rows then.
FLOPS_PER_SECOND, LEAST_LANDMARKS, LEAST_ROWS = 1.5e10, 60, 500
# Numbers in the feature matrix; rows are drawn by chance beyond.
CELLS = 1e8
# Added to the landmarks' own kernel matrix, whose smallest eigenvalues are noise.
JITTER = 1e-6
# Columns that go with the target not at all still count this much.
FAINTEST = 0.05
PLAIN = {"expansion": "none", "interactions": False}


class KernelRidge(Production):
    """A kernel machine: which kernel, how far it reaches, how much columns that go with the target count for more."""

    name = "kernel-ridge"
    symbol = "learner"
    tags = ("kernel", "tabular")

    def space(self) -> Mapping[str, Range]:
        """`length` is in units of a row's usual length; `relevance` the power of a column's correlation with the target."""
        return {
            "kernel": Choice(("matern", "gauss", "exponential")),
            "length": Float(0.1, 8.0, 1.6, log=True),
            "relevance": Float(0.0, 2.0, 0.5),
            "landmarks": Int(100, 3000, 1000, log=True),
        }


@dataclass(frozen=True)
class KernelModel(Model):
    """Landmarks and what each says: scores (n, classes present), or the one number."""

    views: Mapping[str, View]
    design: Design
    gain: np.ndarray  # (p,) by which columns are multiplied before distances are taken
    landmarks: np.ndarray  # (m, p) as the kernel sees them
    kernel: str
    length: float
    weight: np.ndarray  # (m, k)
    bias: np.ndarray  # (k,)
    present: np.ndarray  # (k,) class of each score; empty for a number
    classes: int  # 0 for a number

    def predict(self, tensors: Tensors) -> np.ndarray:
        """Probabilities (n, classes) or the number (n, 1)."""
        numeric, codes = flat.numeric(tensors, self.views), flat.codes(tensors, self.views)
        scores = np.zeros((len(numeric), len(self.bias)))
        step = max(1, AT_ONCE // max(1, len(self.landmarks)))
        for at in range(0, len(numeric), step):
            rows = slice(at, at + step)
            seen = self.design.matrix(numeric[rows], codes[rows]) * self.gain
            scores[rows] = similar(seen, self.landmarks, self.kernel, self.length) @ self.weight + self.bias
        return to_all_classes(softmax(scores), self.present, self.classes) if self.classes else scores

    def save(self, folder: Path) -> None:
        """`kernel-ridge.safetensors` and `kernel-ridge.json`."""
        from safetensors.numpy import save_file

        arrays = {f"design.{k}": v for k, v in self.design.arrays().items()}
        arrays |= {name: getattr(self, name) for name in ("gain", "landmarks", "weight", "bias", "present")}
        save_file(arrays, folder / "kernel-ridge.safetensors")
        about = {"views": {k: v.to_json() for k, v in self.views.items()}, "classes": self.classes}
        about |= {"kernel": self.kernel, "length": self.length}
        (folder / "kernel-ridge.json").write_text(json.dumps(about))

    @classmethod
    def open(cls, folder: Path) -> KernelModel:
        """Read what `save` wrote."""
        from safetensors.numpy import load_file

        arrays = load_file(folder / "kernel-ridge.safetensors")
        about = json.loads((folder / "kernel-ridge.json").read_text())
        views = {k: View.from_json(v) for k, v in about.pop("views").items()}
        design = Design.from_arrays(
            {k.removeprefix("design."): v for k, v in arrays.items() if k.startswith("design.")}
        )
        own = {name: arrays[name] for name in ("gain", "landmarks", "weight", "bias", "present")}
        return cls(views, design, **own, **about)


class KernelRidgeLearner(FoldwiseLearner):
    """Every row is a landmark where there are few, some by chance where there are many; fewer for a near deadline."""

    name = "kernel-ridge"
    production = KernelRidge()
    libraries = ("scipy.linalg",)

    def fit_fold(
        self, numbers: Mapping[str, Any], fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[KernelModel, dict[str, Any]]:
        """One model in closed form; there is nothing to resume."""
        classifies = aim.output.name == "classification"
        rows, target = known_rows(fold, aim)
        rng = np.random.default_rng([upto.seed, fold.index])
        many, count = _affordable(numbers["landmarks"], len(rows), fold.views, upto)
        kept = np.sort(rng.permutation(len(rows))[:count])
        rows, target = rows[kept], target[kept]
        chosen = take(fold.train, rows)
        present = np.unique(target) if classifies else np.zeros(0, np.int64)
        truth = (target[:, None] == present).astype(np.float64) if classifies else target[:, None].astype(np.float64)
        seen = flat.numeric(chosen, fold.views), flat.codes(chosen, fold.views)
        design, matrix = Design.fit(*seen, truth, PLAIN)
        gain = relevance(matrix, truth, numbers["relevance"])
        matrix = (matrix * gain).astype(np.float32)
        landmarks = matrix[np.sort(rng.permutation(len(matrix))[:many])]
        features, whiten = nystrom(matrix, landmarks, numbers["kernel"], numbers["length"])
        centre = features.mean(axis=0, dtype=np.float64)
        features -= centre.astype(features.dtype)
        solved = leave_one_out.fit(features, truth, classifies)
        weight = solved.weight * solved.sharpness
        bias = solved.bias * solved.sharpness - centre @ weight
        classes = aim.output.width(aim.state) if classifies else 0
        model = KernelModel(fold.views, design, gain, landmarks, numbers["kernel"], numbers["length"],
                            whiten @ weight, bias, present, classes)  # fmt: skip
        cut = count < len(fold.train_target) or many < min(numbers["landmarks"], count)
        facts = {"parameters": landmarks.size + model.weight.size + bias.size, "iterations": 1, "stopped_early": cut}
        return model, facts | {"landmarks": many, "rows": count, "penalty": solved.penalty}

    def load(self, folder: Path, aim: Aim) -> KernelModel:
        """Read back what `save` wrote."""
        return KernelModel.open(folder)


def relevance(matrix: np.ndarray, truth: np.ndarray, power: float) -> np.ndarray:
    """Multipliers (p,): a column's correlation with the target (its largest of several) to a power, rows as long as before."""
    centred = truth - truth.mean(axis=0)
    length = np.sqrt((matrix**2).sum(axis=0, dtype=np.float64))
    joint = np.abs(matrix.T.astype(np.float64) @ centred) / np.maximum(np.sqrt((centred**2).sum(axis=0)), 1e-12)
    strength = (joint / np.maximum(length, 1e-12)[:, None]).max(axis=1) + FAINTEST
    gain = strength**power
    return gain * np.sqrt((length**2).sum() / max(1e-12, ((length * gain) ** 2).sum()))


def similar(x: np.ndarray, landmarks: np.ndarray, kernel: str, length: float) -> np.ndarray:
    """The kernel between rows (n, p) and landmarks (m, p): (n, m), 1 for equals."""
    x = x.astype(landmarks.dtype, copy=False)
    squared = (x**2).sum(axis=1)[:, None] + (landmarks**2).sum(axis=1) - 2 * (x @ landmarks.T)
    squared = np.maximum(squared, 0) / length**2
    if kernel == "gauss":
        return np.exp(-0.5 * squared)
    distance = np.sqrt(squared)
    if kernel == "exponential":
        return np.exp(-distance)
    distance *= np.sqrt(3.0)  # Matern with smoothness 3/2
    return (1 + distance) * np.exp(-distance)


def nystrom(matrix: np.ndarray, landmarks: np.ndarray, kernel: str, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, r) whose products are the kernel's, and the matrix (m, r) that makes them of comparisons with landmarks."""
    own = similar(landmarks, landmarks, kernel, length).astype(np.float64)
    values, vectors = np.linalg.eigh(own)
    real = values > JITTER * len(own)
    whiten = vectors[:, real] / np.sqrt(values[real])
    features = np.empty((len(matrix), int(real.sum())), np.float32)
    step = max(1, AT_ONCE // max(1, len(landmarks)))
    for at in range(0, len(matrix), step):
        features[at : at + step] = similar(matrix[at : at + step], landmarks, kernel, length) @ whiten
    return features, whiten


def _affordable(landmarks: int, rows: int, views: Mapping[str, View], upto: Rung) -> tuple[int, int]:
    """Landmarks and rows that fit memory and the deadline; landmarks are cut first."""
    many = min(landmarks, rows)
    count = int(min(rows, max(LEAST_ROWS, CELLS / max(1, many))))
    columns = max(1, flat.width(views) + len(flat.cardinalities(views)))
    left = 0.6 * (upto.deadline - time.monotonic()) * FLOPS_PER_SECOND

    def flops(m: int, n: int) -> float:
        return 2.0 * n * m * (columns + 3 * m) + 30.0 * min(m, n) ** 3

    while many > LEAST_LANDMARKS and flops(many, count) > left:
        many = max(LEAST_LANDMARKS, int(0.8 * many))
    while count > LEAST_ROWS and flops(many, count) > left:
        count = max(LEAST_ROWS, int(0.8 * count))
    return min(many, count), count
