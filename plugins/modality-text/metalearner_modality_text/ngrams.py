"""A linear model of n-grams: TF-IDF, naive-Bayes ratios (Wang & Manning 2012) or plain presence, as fastText would hash them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metalearner.arrays import Fold, Tensors, take
from metalearner.foldwise import FoldwiseLearner, softmax, to_all_classes
from metalearner.kinds import Aim, Choice, Family, Float, Int, Model, Output, Production, Range, Rung
from metalearner.records import Config, View

from .grams import counts

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Iterations of the solver, fewer where a step takes long; numbers in the rows that one of some 10 ms goes through.
ITERATIONS, FEWEST, QUICK = 200, 15, 2e6
SECONDS_PER_NUMBER = 6e-9
SMOOTH = 1.0  # of naive-Bayes ratios


class NGrams(Production):
    """Which n-grams are counted, how they are weighed, and how strongly the model is held back."""

    name = "n-grams"
    symbol = "learner"
    tags = ("linear", "text")

    def space(self) -> Mapping[str, Range]:
        """Longest n-gram of words and of characters (0: none); a penalty against a sum over rows of length about 1."""
        return {
            "words": Int(0, 3, 2),
            "characters": Choice((0, 3, 4, 5)),
            "weighting": Choice(("tf-idf", "naive-bayes", "presence")),
            "least": Int(1, 5, 2),
            "penalty": Float(1e-3, 1e2, 0.3, log=True),
        }


@dataclass(frozen=True)
class NGramModel(Model):
    """Weights of the n-grams that were there: scores (n, classes present), or the one number."""

    names: tuple[str, ...]  # views with texts
    numbers: Mapping[str, Any]
    places: np.ndarray  # (p,) of the hashed n-grams, rising
    scale: np.ndarray  # (p,) what counts are weighed by
    weight: np.ndarray  # (p, k)
    bias: np.ndarray  # (k,)
    present: np.ndarray  # (k,) class of each score; empty for a number
    classes: int  # 0 for a number

    def predict(self, tensors: Tensors) -> np.ndarray:
        """Probabilities (n, classes) or the number (n, 1)."""
        rows = weighed(counts(tensors, self.names, self.numbers)[:, self.places], self.scale, self.numbers["weighting"])
        scores = np.asarray(rows @ self.weight, np.float64) + self.bias
        if not self.classes:
            return scores
        return to_all_classes(softmax(scores), self.present, self.classes)

    def save(self, folder: Path) -> None:
        """`ngrams.safetensors` and `ngrams.json`."""
        from safetensors.numpy import save_file

        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in ARRAYS}
        save_file(arrays, folder / "ngrams.safetensors")
        about = {"names": self.names, "numbers": dict(self.numbers), "classes": self.classes}
        (folder / "ngrams.json").write_text(json.dumps(about))

    @classmethod
    def open(cls, folder: Path) -> NGramModel:
        """Read what `save` wrote."""
        from safetensors.numpy import load_file

        about = json.loads((folder / "ngrams.json").read_text())
        arrays = load_file(folder / "ngrams.safetensors")
        return cls(tuple(about["names"]), about["numbers"], **{n: arrays[n] for n in ARRAYS}, classes=about["classes"])


ARRAYS = ("places", "scale", "weight", "bias", "present")


class NGramLearner(FoldwiseLearner):
    """Logistic regression or ridge on sparse rows."""

    name = "n-grams"
    production = NGrams()
    libraries = ("sklearn.linear_model", "sklearn.feature_extraction.text")

    def accepts(self, views: Mapping[str, View], output: Output) -> bool:
        """Views with a text beside them, for classes and numbers."""
        return bool(with_text(views)) and output.name in ("classification", "regression")

    def fit_fold(
        self, numbers: Mapping[str, Any], fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[NGramModel, dict[str, Any]]:
        """One model; there is nothing to resume."""
        model, iterations, early = _fitted(numbers, fold, aim, upto)
        parameters = model.weight.size + model.bias.size
        return model, {"parameters": parameters, "iterations": iterations, "stopped_early": early}

    def load(self, folder: Path, aim: Aim) -> NGramModel:
        """Read back what `NGramModel.save` wrote."""
        return NGramModel.open(folder)


def with_text(views: Mapping[str, View]) -> tuple[str, ...]:
    """The views with a text beside them."""
    return tuple(name for name, view in views.items() if view.raw == "text")


def weighed(found: csr_matrix, scale: np.ndarray, weighting: str) -> csr_matrix:
    """Counts (n, p) as rows to learn from: dampened or only present, times their scale, TF-IDF of length 1."""
    from scipy.sparse import diags_array

    rows = found.copy()
    rows.data = 1 + np.log(rows.data) if weighting == "tf-idf" else np.ones_like(rows.data)
    rows = rows @ diags_array(scale.astype(np.float32), format="csr")
    if weighting != "naive-bayes":
        length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1))).reshape(-1)
        rows = diags_array(1 / np.where(length > 0, length, 1.0), format="csr") @ rows
    return rows.tocsr().astype(np.float32)


def _fitted(numbers: Mapping[str, Any], fold: Fold, aim: Aim, upto: Rung) -> tuple[NGramModel, int, bool]:
    """One model, the iterations of its solver, and whether it would have gone on."""
    names, target = with_text(fold.views), fold.train_target
    classifies = aim.output.name == "classification"
    known = np.flatnonzero(target >= 0 if classifies else np.isfinite(target))
    found = counts(take(fold.train, known) if len(known) < len(target) else fold.train, names, numbers)
    target = target[known]
    in_texts = np.bincount(found.indices, minlength=found.shape[1])
    places = np.flatnonzero(in_texts >= min(numbers["least"], max(1, len(target) // 20)))
    found = found[:, places]
    present = np.unique(target) if classifies else np.zeros(0, np.int64)
    scale = _scale(found, in_texts[places], target, present, numbers["weighting"])
    rows = weighed(found, scale, numbers["weighting"])
    weight, bias, iterations, early = (
        _logistic(rows, target, present, numbers["penalty"], upto)
        if classifies
        else _ridge(rows, target, numbers["penalty"])
    )
    classes = aim.output.width(aim.state) if classifies else 0
    model = NGramModel(
        names, dict(numbers), places, scale.astype(np.float32), weight.astype(np.float32), bias, present, classes
    )
    return model, iterations, early


def _scale(
    found: csr_matrix, in_texts: np.ndarray, target: np.ndarray, present: np.ndarray, weighting: str
) -> np.ndarray:
    """What each n-gram is weighed by: how rare it is, or how much oftener it occurs in one of two classes."""
    n = found.shape[0]
    if weighting == "presence":
        return np.ones(found.shape[1])
    if weighting == "naive-bayes" and len(present) == 2:
        seen = found.copy()
        seen.data = np.ones_like(seen.data)
        first, second = (np.asarray(seen[target == c].sum(axis=0)).reshape(-1) + SMOOTH for c in present)
        return np.log((second / second.sum()) / (first / first.sum()))
    return np.log((1 + n) / (1 + in_texts)) + 1


def _logistic(
    rows: csr_matrix, target: np.ndarray, present: np.ndarray, penalty: float, upto: Rung
) -> tuple[np.ndarray, np.ndarray, int, bool]:
    """Multinomial logistic regression: weight (p, k), bias (k,)."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    k = len(present)
    if k == 1 or not rows.shape[1]:  # nothing to tell by
        shares = np.array([np.mean(target == c) for c in present])
        return np.zeros((rows.shape[1], k)), np.log(shares), 0, False
    step = SECONDS_PER_NUMBER * (rows.nnz + rows.shape[1]) * (k if k > 2 else 1) + 1e-3
    affordable = max(0.0, upto.deadline - time.monotonic()) / (2 * step)
    most = int(np.clip(min(ITERATIONS, affordable), FEWEST, ITERATIONS) * max(upto.share, 0.3))
    model = LogisticRegression(C=1 / penalty, max_iter=max(FEWEST, most), tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, target)
    taken = int(np.max(model.n_iter_))
    weight, bias = model.coef_.T, model.intercept_
    if k == 2:  # one score, of the second class
        weight, bias = np.concatenate([np.zeros_like(weight), weight], axis=1), np.array([0.0, bias[0]])
    return weight, bias.astype(np.float64), taken, taken >= most


def _ridge(rows: csr_matrix, target: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray, int, bool]:
    """Ridge by conjugate gradients."""
    from sklearn.linear_model import Ridge

    if not rows.shape[1]:
        return np.zeros((0, 1)), np.array([float(np.mean(target))]), 0, False
    model = Ridge(alpha=penalty, solver="sparse_cg", tol=1e-4, max_iter=ITERATIONS).fit(rows, target)
    taken = int(np.max(model.n_iter_)) if model.n_iter_ is not None else 0
    return model.coef_.reshape(-1, 1), np.array([float(model.intercept_)]), taken, False


FAMILY = Family(
    name="n-grams",
    summary="Linear model of hashed n-grams of words and characters",
    presets=(
        Config("n-grams", {"words": 2, "characters": 5, "penalty": 0.3}),
        Config("n-grams", {"words": 2, "characters": 0, "weighting": "naive-bayes", "least": 1, "penalty": 1.0}),
        Config("n-grams", {"words": 2, "characters": 0, "least": 1, "penalty": 0.1}),
        Config("n-grams", {"words": 1, "characters": 4, "weighting": "presence", "penalty": 0.1}),
    ),
    accepts=lambda views: bool(with_text(views)),
    tags=("linear", "text"),
)
