"""How hard a question is, and for whom: dimension, overlap, what single columns say and what only several say together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensors
from ..kinds import Output, Probe
from ..records import View
from .flat import matrix
from .ridge import FOLDS, Question, ridge

MOST = 256  # columns looked at
BINS = 8  # of a column
NEIGHBOURS = 5
DEEPEST, SMALLEST = 6, 5  # depth of the tree landmarker and rows of its leaves
FEATURES = 400


class Complexity(Probe):
    """Intrinsic dimension, neighbours, single columns, a tree, how fast it is learnt."""

    name = "complexity"
    explains = {
        "dimension": ("log10", "intrinsic dimension by the two nearest neighbours (Facco et al. 2017)"),
        "neighbours": ("skill", "the five nearest neighbours"),
        "overlap": (
            "log",
            "distance to the nearest of the same class, or of a near number, over that to any other (N2)",
        ),
        "column": ("skill", "the best single column, cut into bins"),
        "additive": ("skill", "a sum of functions of single columns"),
        "additive_gain": ("skill", "such a sum over a linear model"),
        "interaction": ("skill", "random ReLU features over the better of both: what columns say only together"),
        "tree": ("skill", "one decision tree"),
        "tree_gain": ("skill", "that tree over the better of a linear model and a sum of functions of single columns"),
        "few": ("skill", "random ReLU features fitted on half of the rows over a quarter of them"),
    }

    def measure(
        self,
        tensors: Tensors,
        views: Mapping[str, View],
        target: np.ndarray,
        output: Output,
        rng: np.random.Generator,
    ) -> dict[str, float | None]:
        """Three-fold skills, 0 the naive baseline and 1 perfect; distances are between standardised rows."""
        x = matrix(tensors, views, MOST, rng)
        if not x.shape[1]:
            return {}
        question = Question.ask(target, rng)
        binned, parts = _binned(x)
        linear, additive = (question.skill(ridge(features, question)) for features in (x, binned))
        single = max(linear, additive)  # what columns say one by one
        weights = rng.normal(size=(x.shape[1], FEATURES)).astype(np.float32) / np.sqrt(x.shape[1], dtype=np.float32)
        hidden = np.maximum(x @ weights + rng.normal(size=FEATURES).astype(np.float32), 0)
        half, quarter = (question.skill(ridge(hidden, question, share=s)) for s in (0.5, 0.25))
        tree = question.skill(_tree(x, question))
        return {
            **_distances(x, question),
            "column": _column(binned, parts, question),
            "additive": additive,
            "additive_gain": additive - linear,
            "interaction": question.skill(ridge(hidden, question)) - single,
            "tree": tree,
            "tree_gain": tree - single,
            "few": half - quarter,
        }


def _binned(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns (n, p) as one-hot bins of about equal counts (n, q), and the column (q,) that each belongs to."""
    found, parts = [], []
    for j, column in enumerate(x.T):
        edges = np.unique(np.quantile(column, np.arange(1, BINS) / BINS))
        codes = np.searchsorted(edges, column, side="left")
        bins = (codes[:, None] == np.unique(codes)).astype(np.float32)
        found.append(bins)
        parts += [j] * bins.shape[1]
    return np.concatenate(found, axis=1), np.array(parts)


def _column(binned: np.ndarray, parts: np.ndarray, question: Question) -> float:
    """Skill of the single column that best tells the target by the means of its bins, chosen on the other folds."""
    y, folds = question.y, question.folds
    said = np.zeros((parts.max() + 1, *y.shape), np.float32)
    for fold in range(FOLDS):
        held, train = folds == fold, folds != fold
        counts = binned[train].sum(axis=0) + 1.0
        means = (binned[train].T @ y[train] + y[train].mean(axis=0)) / counts[:, None]  # (q, k)
        for j in range(len(said)):
            said[j, held] = binned[held][:, parts == j] @ means[parts == j]
    chosen = np.zeros_like(y)
    for fold in range(FOLDS):
        held = folds == fold
        loss = [float(np.mean((y[~held] - s[~held]) ** 2)) for s in said]
        chosen[held] = said[int(np.argmin(loss))][held]
    return question.skill(chosen)


def _tree(x: np.ndarray, question: Question) -> np.ndarray:
    """Out-of-fold predictions (n, k) of one decision tree."""
    from sklearn.tree import DecisionTreeRegressor

    said = np.zeros_like(question.y)
    for fold in range(FOLDS):
        held, train = question.folds == fold, question.training(fold)
        tree = DecisionTreeRegressor(max_depth=DEEPEST, min_samples_leaf=SMALLEST, random_state=0)
        tree.fit(x[train], question.y[train])  # of one-hot classes its leaves are their shares
        said[held] = tree.predict(x[held]).reshape(said[held].shape)
    return said


def _distances(x: np.ndarray, question: Question) -> dict[str, float | None]:
    """What the nearest rows say; None where all rows are alike."""
    squared = (x**2).sum(axis=1)
    distance = np.sqrt(np.maximum(squared[:, None] + squared - 2 * x @ x.T, 0))
    np.fill_diagonal(distance, np.inf)
    near = np.partition(distance, min(2, len(x) - 1), axis=1)[:, :2] if len(x) > 2 else distance
    near = np.sort(near, axis=1)
    apart = near[:, 0] > 1e-6
    ratio = np.log(near[apart, 1] / near[apart, 0]) if apart.any() else np.zeros(0)
    ratio = ratio[np.isfinite(ratio)]
    return {
        "dimension": float(np.log10(len(ratio) / ratio.sum())) if len(ratio) > 1 and ratio.sum() > 0 else None,
        "neighbours": question.skill(_neighbours(distance, question)),
        "overlap": _overlap(distance, question),
    }


def _neighbours(distance: np.ndarray, question: Question) -> np.ndarray:
    """Out-of-fold means (n, k) of the nearest rows of the other folds."""
    other = np.where(question.folds[:, None] == question.folds, np.inf, distance)
    count = min(NEIGHBOURS, len(distance) - 1)
    nearest = np.argpartition(other, count - 1, axis=1)[:, :count]
    return question.y[nearest].mean(axis=1)


def _overlap(distance: np.ndarray, question: Question) -> float | None:
    """N2 of Lorena et al. 2019; of numbers, the nearer half in the target stand for the same class."""
    if question.codes is not None:
        same = question.codes[:, None] == question.codes
    else:
        gap = np.abs(question.y - question.y.T)
        same = gap <= np.median(gap)
    within = np.where(same, distance, np.inf).min(axis=1)
    between = np.where(same, np.inf, distance).min(axis=1)
    known = np.isfinite(within) & np.isfinite(between)
    if not known.any():
        return None
    return float(np.log((within[known].mean() + 1e-6) / (between[known].mean() + 1e-6)))
