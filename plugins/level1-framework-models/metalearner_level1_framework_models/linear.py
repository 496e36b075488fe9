"""Ridge regression and multinomial logistic regression: the first model of every run, and on small tables often the best."""

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
from metalearner.kinds import Aim, Choice, Float, Model, Production, Range, Rung
from metalearner.records import View

from . import flat
from .design import KNOTS, LEVELS, PAIRED, PRECISE, Design

# Bounds on the work for one fold, so that it stays near a second on one core whatever the size of the data.
CELLS = 1e7  # numbers in the design matrix
WORK = 2e8  # rows x columns x (classes + 8) of a step of L-BFGS: reading a row costs as much as 8 classes
FLOPS = 2e10
ITERATIONS = 300
CELLS_PER_SECOND, FLOPS_PER_SECOND = 1e7, 1e10  # cautious guesses for when little time is left
STEPS = 20  # of L-BFGS that there should be time for
TOGETHER, QUICK = 4, 2e7  # penalties tried side by side, and the rows x columns x iterations up to which they are


class Linear(Production):
    """A linear model: how strongly it is held back, and what it sees beside the plain columns."""

    name = "linear"
    symbol = "learner"
    tags = ("linear", "cheap")
    loose = ("penalty",)

    def space(self) -> Mapping[str, Range]:
        """`penalty` is L2, on rows scaled to unit length, against a sum over rows."""
        return {
            "penalty": Float(1e-4, 1e4, 1.0, log=True),
            "interactions": Choice((False, True)),
            "expansion": Choice(("none", "squares", "splines")),
        }


@dataclass(frozen=True)
class LinearModel(Model):
    """Coefficients on a design matrix: scores (n, classes present), or the one number."""

    views: Mapping[str, View]
    design: Design
    weight: np.ndarray  # (p, k)
    bias: np.ndarray  # (k,)
    present: np.ndarray  # (k,) class of each score; empty for a number
    classes: int  # 0 for a number
    converged: bool = True

    def predict(self, tensors: Tensors) -> np.ndarray:
        """Probabilities (n, classes) or the number (n, 1), float64 whatever the batch."""
        numeric, codes = flat.numeric(tensors, self.views), flat.codes(tensors, self.views)
        step = max(1, PRECISE // max(1, numeric.shape[1], len(self.weight)))
        scores = np.zeros((len(numeric), len(self.bias)))
        for at in range(0, len(numeric), step):
            rows = slice(at, at + step)
            scores[rows] = self.design.matrix(numeric[rows], codes[rows]) @ self.weight + self.bias
        return to_all_classes(softmax(scores), self.present, self.classes) if self.classes else scores

    def save(self, folder: Path) -> None:
        """`linear.safetensors` and `linear.json`."""
        from safetensors.numpy import save_file

        arrays = self.design.arrays() | {"weight": self.weight, "bias": self.bias, "present": self.present}
        save_file(arrays, folder / "linear.safetensors")
        about = {
            "views": {k: v.to_json() for k, v in self.views.items()},
            "classes": self.classes,
            "converged": self.converged,
        }
        (folder / "linear.json").write_text(json.dumps(about))

    @classmethod
    def open(cls, folder: Path) -> LinearModel:
        """Read what `save` wrote."""
        from safetensors.numpy import load_file

        arrays = load_file(folder / "linear.safetensors")
        about = json.loads((folder / "linear.json").read_text())
        views = {k: View.from_json(v) for k, v in about["views"].items()}
        own = {name: arrays[name] for name in ("weight", "bias", "present")}
        design = Design.from_arrays(arrays)
        return cls(views, design, **own, classes=about["classes"], converged=about["converged"])


class LinearLearner(FoldwiseLearner):
    """Ridge in closed form for numbers, L-BFGS on the multinomial log loss for classes."""

    name = "linear"
    production = Linear()
    libraries = ("scipy.linalg", "scipy.optimize")

    def fit_fold(
        self, numbers: Mapping[str, Any], fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[LinearModel, dict[str, Any]]:
        """One model; `resume` gives L-BFGS its starting point."""
        classifies = aim.output.name == "classification"
        outputs = aim.output.width(aim.state) if classifies else 1
        rows, target = known_rows(fold, aim)
        kept = _affordable(rows, fold, numbers, outputs, upto)
        fewer = len(kept) < len(rows)
        rows, target = rows[kept], target[kept]
        chosen = take(fold.train, rows)
        present = np.unique(target) if classifies else np.zeros(0, np.int64)
        truth = (target[:, None] == present).astype(np.float64) if classifies else target[:, None]
        seen = flat.numeric(chosen, fold.views), flat.codes(chosen, fold.views)
        design, matrix = Design.fit(*seen, truth, numbers)
        if classifies:
            earlier = _earlier(resume, matrix.shape[1], present)
            weight, bias, iterations, converged = logistic(matrix, truth, numbers["penalty"], upto, earlier)
        else:
            weight, bias = ridge(matrix, truth, numbers["penalty"])
            iterations, converged = 1, True
        model = LinearModel(fold.views, design, weight, bias, present, outputs if classifies else 0, converged)
        facts = {
            "parameters": weight.size + bias.size,
            "iterations": iterations,
            "stopped_early": fewer or not converged,
        }
        return model, facts | {"columns": matrix.shape[1], "rows": len(rows)}

    def together(self, facts: Mapping[str, Any]) -> int:
        """Several penalties at once where a fit takes less than what goes on around it."""
        return TOGETHER if facts["rows"] * facts["columns"] * facts["iterations"] <= QUICK else 1

    def load(self, folder: Path, aim: Aim) -> LinearModel:
        """Read back what `save` wrote."""
        return LinearModel.open(folder)


def ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Ridge in closed form, primal or dual by which is smaller: x (n, p) centred, y (n, k) -> (p, k), (k,)."""
    bias = y.mean(axis=0)
    residual, (n, p) = y - bias, x.shape
    if p <= n:
        moment = np.zeros((p, p))
        for at in range(0, n, 4096):  # in float64 without a second copy of everything
            part = x[at : at + 4096].astype(np.float64, copy=False)
            moment += part.T @ part
        moment.flat[:: p + 1] += penalty
        return _solve(moment, x.T.astype(np.float64, copy=False) @ residual), bias
    gram = _gram(x)
    gram.flat[:: n + 1] += penalty
    return x.T.astype(np.float64, copy=False) @ _solve(gram, residual), bias


def logistic(
    x: np.ndarray, truth: np.ndarray, penalty: float, upto: Rung, start: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray, int, bool]:
    """Multinomial logistic regression with an L2 penalty: weight (p, k), bias (k,), iterations, whether it converged.

    With more columns than rows the search runs in the rows' own space, which loses nothing: the best
    coefficients lie in it.
    """
    n, p = x.shape
    gram_flops, seconds = 2.0 * n * n * p + 15.0 * n**3, upto.deadline - time.monotonic()
    if n < p and gram_flops <= min(3 * FLOPS, 0.5 * seconds * FLOPS_PER_SECOND):
        values, vectors = np.linalg.eigh(_gram(x))
        real = values > max(values[-1], 1e-300) * 1e-10
        lengths = np.sqrt(values[real])
        basis = vectors[:, real] / lengths  # x.T @ basis is orthonormal
        if start is not None:
            start = basis.T @ (x @ start[0]), start[1]
        inner, bias, iterations, converged = _descend(vectors[:, real] * lengths, truth, penalty, upto, start)
        return x.T.astype(np.float64, copy=False) @ (basis @ inner), bias, iterations, converged
    return _descend(x, truth, penalty, upto, start)


def _descend(
    x: np.ndarray, truth: np.ndarray, penalty: float, upto: Rung, start: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray, int, bool]:
    """L-BFGS until the gradient is flat, the iterations are spent or the deadline comes."""
    from scipy.optimize import minimize

    (n, p), k = x.shape, truth.shape[1]
    shares = truth.mean(axis=0)
    if k == 1:
        return np.zeros((p, 1)), np.zeros(1), 0, True
    weight, bias = start if start is not None else (np.zeros((p, k)), np.log(shares))
    truth = truth.astype(x.dtype)

    def objective(flat_: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = flat_[: p * k].reshape(p, k), flat_[p * k :]
        scores = x @ w.astype(x.dtype) + b.astype(x.dtype)
        scores -= scores.max(axis=1, keepdims=True)
        likely = np.einsum("nk,nk->", scores, truth, dtype=np.float64)
        np.exp(scores, out=scores)
        total = scores.sum(axis=1, keepdims=True)
        loss = np.log(total).sum(dtype=np.float64) - likely + 0.5 * penalty * np.sum(w**2)
        scores /= total
        scores -= truth
        slope = (x.T @ scores).astype(np.float64) + penalty * w
        return loss / n, np.concatenate([slope.ravel(), scores.sum(axis=0, dtype=np.float64)]) / n

    def watch(_: np.ndarray) -> None:
        if time.monotonic() > upto.deadline:
            raise StopIteration

    most = int(np.clip(FLOPS / (4.0 * n * max(1, p) * (k + 8)), 25, ITERATIONS))
    options = {"maxiter": max(5, round(most * upto.share)), "maxcor": 10, "gtol": 1e-5, "ftol": 1e-5}
    found = minimize(
        objective, np.concatenate([weight.ravel(), bias]), jac=True, method="L-BFGS-B", callback=watch, options=options
    )
    return found.x[: p * k].reshape(p, k), found.x[p * k :], int(found.nit), bool(found.success)


def _affordable(rows: np.ndarray, fold: Fold, numbers: Mapping[str, Any], outputs: int, upto: Rung) -> np.ndarray:
    """Positions of the rows to learn from: all, or as many by chance as the bounds on work and time allow."""
    columns = flat.width(fold.views) + sum(min(c, LEVELS) for c in flat.cardinalities(fold.views))
    columns = max(1, columns * {"none": 1, "squares": 2, "splines": 1 + KNOTS}[numbers["expansion"]])
    columns += PAIRED * (PAIRED - 1) // 2 * numbers["interactions"]
    seconds = max(0.0, upto.deadline - time.monotonic())
    most = min(CELLS, seconds * CELLS_PER_SECOND) / columns
    if outputs > 1:
        most = min(most, min(WORK, seconds * FLOPS_PER_SECOND / (4 * STEPS)) / (columns * (outputs + 8)))
    else:
        most = min(most, max(FLOPS / columns**2, (FLOPS / columns) ** 0.5))
    if len(rows) <= max(200, most):
        return np.arange(len(rows))
    return np.sort(np.random.default_rng([upto.seed, fold.index]).permutation(len(rows))[: max(200, int(most))])


def _earlier(folder: Path | None, columns: int, present: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Coefficients of an earlier rung, when they are about the same columns and classes."""
    if folder is None:
        return None
    earlier = LinearModel.open(folder)
    same = len(earlier.weight) == columns and np.array_equal(earlier.present, present)
    return (earlier.weight, earlier.bias) if same else None


def _gram(x: np.ndarray) -> np.ndarray:
    """x @ x.T in float64, columns in chunks."""
    gram = np.zeros((len(x), len(x)))
    for at in range(0, x.shape[1], 4096):
        part = x[:, at : at + 4096].astype(np.float64, copy=False)
        gram += part @ part.T
    return gram


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a positive definite system; a nearly singular one in the least-squares sense."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    try:
        return cho_solve(cho_factor(matrix, lower=True, check_finite=False), right, check_finite=False)
    except LinAlgError:
        return np.linalg.lstsq(matrix, right, rcond=None)[0]
