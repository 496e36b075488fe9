"""Ridge regression and the nearest neighbour, cross-validated in closed form: the learners of the landmarkers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .flat import standardised

FOLDS = 3
PENALTIES = (1.0, 10.0, 100.0, 1000.0)


@dataclass(frozen=True)
class Question:
    """What is to be learnt: targets (n, k), class codes (n,) where it is classes, and a chance order of the rows."""

    y: np.ndarray
    codes: np.ndarray | None
    order: np.ndarray

    @classmethod
    def ask(cls, target: np.ndarray, rng: np.random.Generator) -> Question:
        """One-hot classes, or the number."""
        order = rng.permutation(len(target))
        if target.dtype.kind != "i":
            return cls(np.asarray(target, np.float32)[:, None], None, order)
        codes = np.unique(target, return_inverse=True)[1]
        return cls(np.eye(codes.max() + 1, dtype=np.float32)[codes], codes, order)

    @property
    def folds(self) -> np.ndarray:
        """The fold (n,) each row is held out of."""
        return self.order % FOLDS

    def training(self, fold: int, share: float = 1.0) -> np.ndarray:
        """Rows outside of a fold, or a share of them drawn by chance."""
        rows = np.argsort(self.order)
        rows = rows[self.folds[rows] != fold]
        return rows[: max(2, round(share * len(rows)))]

    def loss(self, said: np.ndarray) -> np.ndarray:
        """Of each prediction (n, k): 1 where the class is wrong, else the squared error."""
        if self.codes is None:
            return ((self.y - said) ** 2)[:, 0]
        return (said.argmax(axis=1) != self.codes).astype(np.float32)

    def skill(self, said: np.ndarray, rows: np.ndarray | slice = slice(None)) -> float:
        """Of predictions (n, k) on some rows: 0 the naive baseline (largest class, mean), 1 perfect, never below -1."""
        y, said = self.y[rows], said[rows]
        if self.codes is None:
            return float(max(-1.0, 1 - ((y - said) ** 2).mean() / (y.var() + 1e-12)))
        codes = self.codes[rows]
        most = np.bincount(codes).max() / len(codes)
        if most == 1:
            return 0.0
        return float(max(-1.0, (np.mean(said.argmax(axis=1) == codes) - most) / (1 - most)))


def ridge(x: np.ndarray, question: Question, share: float = 1.0, other: np.ndarray | None = None) -> np.ndarray:
    """Out-of-fold predictions (n, k) of ridge regression on features (n, p), fitted on a share of the training rows.

    The penalty for each fold is the one that did best on the other folds. With `other` (n, p) held-out rows are told by
    these features instead of those they would be fitted by.
    """
    y, folds = question.y, question.folds
    if other is None:
        x = told = standardised(x)
    else:
        both = standardised(np.concatenate([x, other]))
        x, told = both[: len(x)], both[len(x) :]
    said = {p: np.zeros_like(y) for p in PENALTIES}
    for fold in range(FOLDS):
        held, train = folds == fold, question.training(fold, share)
        for penalty, prediction in zip(PENALTIES, _solve(x[train], y[train], told[held])):
            said[penalty][held] = prediction
    chosen = np.zeros_like(y)
    for fold in range(FOLDS):
        held = folds == fold
        best = max(PENALTIES, key=lambda p: question.skill(said[p], ~held))
        chosen[held] = said[best][held]
    return chosen


def _solve(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> list[np.ndarray]:
    """Predictions for `new` under each penalty, in the smaller of the two forms."""
    from scipy.linalg import cho_factor, cho_solve

    centre, mean = x.mean(axis=0), y.mean(axis=0)
    a, b, new = x - centre, y - mean, new - centre
    wide = a.shape[1] > a.shape[0]
    gram = a @ a.T if wide else a.T @ a
    right, kernel = (b, new @ a.T) if wide else (a.T @ b, new)
    found = []
    for penalty in PENALTIES:
        raised = gram.astype(np.float64)
        raised[np.diag_indices_from(raised)] += penalty
        factor = cho_factor(raised, lower=True, overwrite_a=True, check_finite=False)
        found.append((kernel @ cho_solve(factor, right, check_finite=False) + mean).astype(np.float32))
    return found


def neighbour(x: np.ndarray, question: Question) -> np.ndarray:
    """Out-of-fold predictions (n, k) of the nearest neighbour on standardised features (n, p)."""
    said = np.zeros_like(question.y)
    for fold in range(FOLDS):
        held, train = np.flatnonzero(question.folds == fold), question.training(fold)
        distance = (x[train] ** 2).sum(axis=1) - 2 * x[held] @ x[train].T
        said[held] = question.y[train[distance.argmin(axis=1)]]
    return said
