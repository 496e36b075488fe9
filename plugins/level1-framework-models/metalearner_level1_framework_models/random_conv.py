"""Random convolutions and ridge: close to the best on time series, within seconds, and strong on small images."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import Fold, Tensor, Tensors
from metalearner.foldwise import FoldwiseLearner, known_rows, softmax, to_all_classes
from metalearner.kinds import Aim, Choice, Int, Model, Output, Production, Range, Rung
from metalearner.records import View

from . import leave_one_out
from .patch_kernels import PatchKernels
from .random_kernels import Kernels
from .series_kernels import KERNELS, SeriesKernels

CELLS = 1.6e8  # numbers in the feature matrix; rows are drawn by chance beyond
BATCH_CELLS = 2e6  # numbers a batch grows to inside
FLOPS_PER_SECOND = 3e10  # of the ridge, a cautious guess
LEAST_ROWS, LEAST_FEATURES = 200, 168


class RandomConv(Production):
    """Random convolution features into ridge; the penalty is chosen on leave-one-out scores."""

    name = "random-conv"
    symbol = "learner"
    tags = ("convolution", "random", "cheap")

    def space(self) -> Mapping[str, Range]:
        """`normalise`: each series, or each patch of an image, by itself, which forgets its level and amplitude."""
        return {
            "features": Int(500, 40000, 2000, log=True),
            "pooling": Choice(("both", "proportion", "mean")),
            "normalise": Choice((False, True)),
        }

    def accepts(self, view: View) -> bool:
        """One time axis or two space axes; what else there is counts as channels."""
        return arrangement(view) is not None


def arrangement(view: View) -> tuple[str, tuple[int, ...]] | None:
    """Whether a view is an "image" or a "series", and the axes convolved over; None when it is neither."""
    axes = {kind: tuple(i for i, k in enumerate(view.kinds, start=1) if k == kind) for kind in ("space", "time")}
    if view.cardinalities or not all(view.shape):
        return None
    if len(axes["space"]) == 2:
        found: tuple[str, tuple[int, ...]] = ("image", axes["space"])
    elif len(axes["time"]) == 1:
        found = ("series", axes["time"])
    elif len(axes["space"]) == 1 and not axes["time"]:
        found = ("series", axes["space"])
    else:
        return None
    ragged = {i for i, a in enumerate(view.axes, start=1) if a.ragged}
    return found if ragged <= (set(found[1]) if found[0] == "series" else set()) else None


@dataclass(frozen=True)
class RandomConvModel(Model):
    """Kernels, and a ridge on what they give."""

    view: tuple[str, View]  # its name and shape
    kernels: Kernels
    centre: np.ndarray  # (p,) of the features
    scale: np.ndarray  # (p,)
    weight: np.ndarray  # (p, k), sharpness folded in
    bias: np.ndarray  # (k,)
    present: np.ndarray  # (k,) class of each score; empty for a number
    classes: int  # 0 for a number

    def predict(self, tensors: Tensors) -> np.ndarray:
        """Probabilities (n, classes) or the number (n, 1)."""
        values, mask = folded(tensors[self.view[0]], self.view[1])
        scores = np.zeros((len(values), len(self.bias)))
        for rows in _batches(self.kernels, values):
            part = self.kernels.features(values[rows], None if mask is None else mask[rows])
            part = (part.astype(np.float64) - self.centre) / self.scale
            scores[rows] = part @ self.weight + self.bias
        return to_all_classes(softmax(scores), self.present, self.classes) if self.classes else scores

    def save(self, folder: Path) -> None:
        """`random-conv.safetensors` and `random-conv.json`."""
        from safetensors.numpy import save_file

        own = {name: getattr(self, name) for name in ("centre", "scale", "weight", "bias", "present")}
        arrays = {f"kernels.{k}": v for k, v in self.kernels.arrays().items()}
        save_file(arrays | own, folder / "random-conv.safetensors")
        about = {"name": self.view[0], "view": self.view[1].to_json(), "classes": self.classes}
        (folder / "random-conv.json").write_text(json.dumps(about))

    @classmethod
    def open(cls, folder: Path) -> RandomConvModel:
        """Read what `save` wrote."""
        from safetensors.numpy import load_file

        arrays = load_file(folder / "random-conv.safetensors")
        about = json.loads((folder / "random-conv.json").read_text())
        view = View.from_json(about["view"])
        kind = _kind(view)
        kernels = kind.from_arrays({k.partition(".")[2]: v for k, v in arrays.items() if k.startswith("kernels.")})
        own = {name: arrays[name] for name in ("centre", "scale", "weight", "bias", "present")}
        return cls((about["name"], view), kernels, **own, classes=about["classes"])


class RandomConvLearner(FoldwiseLearner):
    """Draws kernels, convolves, pools, solves; fewer features or rows where the deadline asks for it."""

    name = "random-conv"
    production = RandomConv()
    libraries = ("torch",)

    def accepts(self, views: Mapping[str, View], output: Output) -> bool:
        """One view, a series or an image."""
        return super().accepts(views, output) and [arrangement(v) is not None for v in views.values()] == [True]

    def fit_fold(
        self, numbers: Mapping[str, Any], fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[RandomConvModel, dict[str, Any]]:
        """One model. There is nothing to resume: more features are another draw."""
        import torch

        torch.set_num_threads(upto.threads)
        ((name, view),) = fold.views.items()
        classifies = aim.output.name == "classification"
        rows, target = known_rows(fold, aim)
        rng = np.random.default_rng([upto.seed, fold.index])
        values, mask = folded(fold.train[name], view)
        wanted = dict(numbers) | {"features": max(KERNELS, round(numbers["features"] * upto.share))}
        kernels, kept = _affordable(wanted, (values, mask), rows, len(fold.valid_target), upto, rng)
        rows, target = rows[kept], target[kept]
        present = np.unique(target) if classifies else np.zeros(0, np.int64)
        truth = (target[:, None] == present).astype(np.float64) if classifies else target[:, None].astype(np.float64)
        features = np.zeros((len(rows), kernels.size), np.float32)
        for batch in _batches(kernels, values, len(rows)):
            chosen = rows[batch]
            features[batch] = kernels.features(values[chosen], None if mask is None else mask[chosen])
        centre, scale = _standardise(features, kernels.emphasis)
        solved = leave_one_out.fit(features, truth, classifies)
        weight, bias = solved.weight * solved.sharpness, solved.bias * solved.sharpness
        classes = aim.output.width(aim.state) if classifies else 0
        model = RandomConvModel((name, view), kernels, centre, scale, weight, bias, present, classes)
        parameters = sum(a.size for a in kernels.arrays().values()) + 2 * len(centre) + weight.size + bias.size
        cut = kernels.size < 0.9 * wanted["features"] or len(rows) < len(fold.train_target)
        facts = {"parameters": parameters, "iterations": 1, "stopped_early": cut, "features": kernels.size}
        return model, facts | {"rows": len(rows), "penalty": solved.penalty}

    def load(self, folder: Path, aim: Aim) -> RandomConvModel:
        """Read back what `save` wrote."""
        return RandomConvModel.open(folder)


def folded(tensor: Tensor, view: View) -> tuple[np.ndarray, np.ndarray | None]:
    """Values as (n, T, C) or (n, H, W, C), all other axes folded into the channels; the mask of the time axis."""
    found = arrangement(view)
    assert found is not None, "the learner accepts no other views"
    axes = found[1]
    values = np.moveaxis(tensor.values, axes, range(1, len(axes) + 1))
    sizes = [view.shape[a - 1] for a in axes]
    return values.reshape(len(values), *sizes, int(np.prod(view.shape)) // int(np.prod(sizes))), tensor.mask


def _standardise(features: np.ndarray, emphasis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale features (n, p) in place; those that hardly vary stay small. The centre and the scale used."""
    centre = features.mean(axis=0, dtype=np.float64)
    features -= centre.astype(np.float32)
    spread = np.sqrt(np.mean(features**2, axis=0, dtype=np.float64))
    scale = np.maximum(spread, 1e-3 + 0.1 * np.median(spread)) / emphasis
    features /= scale.astype(np.float32)
    return centre, scale


def _kind(view: View) -> type[Kernels]:
    found = arrangement(view)
    return PatchKernels if found is not None and found[0] == "image" else SeriesKernels


def _batches(kernels: Kernels, values: np.ndarray, rows: int | None = None) -> list[slice]:
    """Slices small enough for the processor's cache."""
    rows = len(values) if rows is None else rows
    step = int(np.clip(BATCH_CELLS // max(1, kernels.cells(values)), 1, 256))
    return [slice(at, min(at + step, rows)) for at in range(0, rows, step)]


def _affordable(
    numbers: dict[str, Any],
    data: tuple[np.ndarray, np.ndarray | None],
    rows: np.ndarray,
    held_out: int,
    upto: Rung,
    rng: np.random.Generator,
) -> tuple[Kernels, np.ndarray]:
    """Kernels and positions of rows that fit memory and the deadline: features are cut first, then rows, in turns.

    A few kernels on a few rows show what a feature costs. Without a deadline the clock decides nothing.
    """
    values, mask = data
    kind: type[Kernels] = PatchKernels if values.ndim == 4 else SeriesKernels
    some = rng.permutation(rows)[: kind.rows_to_see(values)]
    seen = values[some], None if mask is None else mask[some]
    seed = int(rng.integers(2**31))
    size, count = numbers["features"], int(min(len(rows), max(LEAST_ROWS, CELLS / numbers["features"])))
    if np.isfinite(upto.deadline):
        a_feature = _feature_seconds(kind, seen, numbers, seed)
        left = 0.7 * (upto.deadline - time.monotonic())
        for fewest, least in ((1000, 1000), (LEAST_FEATURES, LEAST_ROWS)):
            while size > fewest and _seconds(size, count, held_out, a_feature) > left:
                size = max(fewest, int(0.8 * size))
            while count > least and _seconds(size, count, held_out, a_feature) > left:
                count = max(least, int(0.8 * count))
    kernels = kind.fit(*seen, numbers | {"features": size}, np.random.default_rng(seed))
    return kernels, np.sort(rng.permutation(len(rows))[:count])


def _feature_seconds(
    kind: type[Kernels], seen: tuple[np.ndarray, np.ndarray | None], numbers: dict[str, Any], seed: int
) -> float:
    """Seconds a feature of a row takes."""
    few = seen[0][:64], None if seen[1] is None else seen[1][:64]
    draft = kind.fit(*few, numbers | {"features": 2 * LEAST_FEATURES}, np.random.default_rng(seed))
    began = time.monotonic()
    draft.features(*few)
    return (time.monotonic() - began) / (len(few[0]) * draft.size)


def _seconds(features: int, rows: int, held_out: int, a_feature: float) -> float:
    """Convolving every row, then the smaller product of the feature matrix and its eigenvectors."""
    small = min(features, rows)
    flops = 2.0 * features * rows * small * (1 + (rows > features)) + 10.0 * small**3
    return (rows + held_out) * features * a_feature + flops / FLOPS_PER_SECOND
