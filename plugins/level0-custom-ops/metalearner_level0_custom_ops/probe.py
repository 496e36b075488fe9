"""How viable signs are on a data set: what random sign features gain against ReLU features of the same width."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from metalearner.arrays import Tensors
from metalearner.kinds import Output, Probe
from metalearner.records import View

FEATURES, MOST = 256, 512  # random features; columns that are looked at
FOLDS, PENALTY = 3, 30.0


class Binary(Probe):
    """The same random features behind a sign and behind ReLU, the same ridge regression on both, three-fold."""

    name = "binary"
    explains = {
        "gain": ("skill", "random sign features against ReLU features of equal width"),
        "gain_z": ("log standard errors", "how sure that is"),
    }

    def measure(
        self, tensors: Tensors, views: Mapping[str, View], target: np.ndarray, output: Output, rng: np.random.Generator
    ) -> dict[str, float | None]:
        """Gain in skill, paired by row."""
        flat = [t.values.reshape(len(t.values), -1) for t in tensors.values()]
        x = np.nan_to_num(np.concatenate(flat, axis=1)).astype(np.float32)
        if len(x) < 12 or not x.shape[1]:
            return {"gain": None, "gain_z": None}
        x = x[:, np.sort(rng.permutation(x.shape[1])[:MOST])]
        x = (x - x.mean(0)) / (x.std(0) + 1e-6)
        hidden = x @ rng.normal(size=(x.shape[1], FEATURES)).astype(np.float32) / math.sqrt(x.shape[1])
        hidden += rng.normal(size=FEATURES).astype(np.float32)
        classes = target.dtype.kind == "i"
        y = np.eye(target.max() + 1)[target] if classes else np.asarray(target, float)[:, None]
        fold = rng.permutation(len(x)) % FOLDS
        lost = [self._losses(f, y, fold, classes) for f in (np.sign(hidden), np.maximum(hidden, 0))]
        naive = 1 - y.mean(0).max() if classes else float(y.var())
        if naive <= 1e-12:
            return {"gain": None, "gain_z": None}
        apart = (lost[1] - lost[0]) / naive
        gain, error = float(apart.mean()), float(apart.std() / math.sqrt(len(apart)))
        return {"gain": gain, "gain_z": math.copysign(math.log1p(abs(gain) / (error + 1e-9)), gain)}

    @staticmethod
    def _losses(features: np.ndarray, y: np.ndarray, fold: np.ndarray, classes: bool) -> np.ndarray:
        """Of each row out of fold: 1 where the class is wrong, else the squared error."""
        features = np.concatenate(
            [(features - features.mean(0)) / (features.std(0) + 1e-6), np.ones((len(features), 1))], 1
        )
        said = np.empty_like(y)
        for k in range(FOLDS):
            train, held = fold != k, fold == k
            gram = features[train].T @ features[train] + PENALTY * np.eye(features.shape[1])
            said[held] = features[held] @ np.linalg.solve(gram, features[train].T @ y[train])
        if classes:
            return (said.argmax(1) != y.argmax(1)).astype(float)
        return ((said - y) ** 2)[:, 0]
