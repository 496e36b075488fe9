"""Cheap learners in pairs: the difference between the two is the evidence that a bias helps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensors
from ..kinds import Output, Probe
from ..records import View
from .flat import matrix

FEATURES = 400
FOLDS = 3
PENALTIES = (1.0, 10.0, 100.0, 1000.0)
MOST = 768  # columns a landmarker takes
ORDERED = ("time", "space", "columns")


class Landmarkers(Probe):
    """Ridge, nearest neighbour, random features; local features on intact and on shuffled axes; sign against ReLU."""

    name = "landmarkers"
    explains = {
        "ridge": ("skill", "a linear model"),
        "neighbour": ("skill", "the nearest neighbour"),
        "relu": ("skill", "random ReLU features with ridge"),
        "nonlinear": ("skill", "random ReLU features over a linear model"),
        "sign": ("skill", "random sign features at equal width"),
        "binary_cost": ("skill", "what signs lose against ReLU"),
        "local": ("skill", "random local features on intact axes"),
        "local_shuffled": ("skill", "the same after the positions were shuffled"),
        "local_gain": ("skill", "what the order of positions is worth"),
        "slope": ("skill", "random features on all rows over half of them"),
    }

    def measure(
        self,
        tensors: Tensors,
        views: Mapping[str, View],
        target: np.ndarray,
        output: Output,
        rng: np.random.Generator,
    ) -> dict[str, float | None]:
        """Skill of each: 0 the naive baseline, 1 perfect; three-fold, the penalty chosen inside."""
        x = matrix(tensors, views)
        if not x.shape[1]:
            return {}
        x = x[:, rng.permutation(x.shape[1])[:MOST]]
        y, codes = _targets(target)
        folds = rng.integers(0, FOLDS, len(target))
        weights = rng.normal(size=(x.shape[1], FEATURES)).astype(np.float32) / np.sqrt(x.shape[1])
        hidden = x @ weights + rng.normal(size=FEATURES).astype(np.float32)
        skill = {
            "ridge": _ridge(x, y, codes, folds),
            "neighbour": _neighbour(x, target, folds),
            "relu": _ridge(np.maximum(hidden, 0), y, codes, folds),
            "sign": _ridge(np.sign(hidden), y, codes, folds),
        }
        half = rng.permutation(len(target))[: len(target) // 2]
        found: dict[str, float | None] = {
            **skill,
            "nonlinear": skill["relu"] - skill["ridge"],
            "binary_cost": skill["relu"] - skill["sign"],
            "slope": skill["relu"]
            - _ridge(np.maximum(hidden[half], 0), y[half], None if codes is None else codes[half], folds[half]),
        }
        return found | _local(tensors, views, y, codes, folds, rng)


def _local(
    tensors: Tensors,
    views: Mapping[str, View],
    y: np.ndarray,
    codes: np.ndarray | None,
    folds: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, float | None]:
    """The same random local features on intact and on shuffled positions, averaged over two shuffles."""
    for name, view in views.items():
        axes = [i for i, a in enumerate(view.axes) if a.kind in ORDERED and a.size >= 6]
        if not axes:
            continue
        x = np.nan_to_num(tensors[name].values)
        # (n, h, w, c): one or two ordered axes, all else as channels
        kept = axes[:2] if len(axes) >= 2 else axes
        x = np.moveaxis(x, [a + 1 for a in kept], range(1, len(kept) + 1))
        x = x.reshape(len(x), *x.shape[1 : len(kept) + 1], -1)
        x = x[:, :, None, :] if len(kept) == 1 else x
        x = _shrink(x)
        seed = int(rng.integers(1 << 31))
        intact = _ridge(_features(x, seed), y, codes, folds)
        shuffled = [_ridge(_features(_shuffle(x, s), seed), y, codes, folds) for s in (1, 2)]
        return {
            "local": intact,
            "local_shuffled": float(np.mean(shuffled)),
            "local_gain": intact - float(np.mean(shuffled)),
        }
    return {}


def _shrink(x: np.ndarray) -> np.ndarray:
    """At most 128 steps of one axis or 20 x 20 of two, by averaging neighbours; at most eight channels."""
    limit = 128 if x.shape[2] == 1 else 20
    for axis in (1, 2):
        factor = -(-x.shape[axis] // limit)
        if factor > 1:
            length = x.shape[axis] // factor * factor
            x = np.take(x, np.arange(length), axis=axis)
            shape = [*x.shape[:axis], length // factor, factor, *x.shape[axis + 1 :]]
            x = x.reshape(shape).mean(axis=axis + 1)
    return x[..., :8]


def _shuffle(x: np.ndarray, seed: int) -> np.ndarray:
    """One fixed permutation of all positions, the same for every sample."""
    flat = x.reshape(len(x), -1, x.shape[-1])
    return flat[:, np.random.default_rng(seed).permutation(flat.shape[1])].reshape(x.shape)


def _features(x: np.ndarray, seed: int, filters: int = 24) -> np.ndarray:
    """Random local filters, ReLU, mean over each of eight (or 2 x 2) regions: (n, h, w, c) -> (n, features)."""
    rng = np.random.default_rng(seed)
    high, wide = (7, 1) if x.shape[2] == 1 else (3, 3)
    high = min(high, x.shape[1])
    wide = min(wide, x.shape[2])
    patches = np.lib.stride_tricks.sliding_window_view(x, (high, wide), axis=(1, 2))  # (n, h', w', c, high, wide)
    n, h, w = patches.shape[:3]
    weights = rng.normal(size=(high * wide * x.shape[-1], filters)).astype(np.float32)
    weights /= np.linalg.norm(weights, axis=0)
    regions = (min(8, h), 1) if w == 1 else (2, 2)
    pooled = []
    for rows in np.array_split(np.arange(h), regions[0]):
        for columns in np.array_split(np.arange(w), regions[1]):
            block = patches[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].reshape(
                n, len(rows) * len(columns), -1
            )
            pooled.append(np.maximum(block @ weights, 0).mean(axis=1))
    found = np.concatenate(pooled, axis=1)
    return (found - found.mean(0)) / (found.std(0) + 1e-6)


def _targets(target: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Ridge targets (n, k): centred one-hot classes with their codes, or the number."""
    if target.dtype.kind != "i":
        return np.asarray(target, np.float32)[:, None], None
    codes = np.unique(target, return_inverse=True)[1]
    return np.eye(codes.max() + 1, dtype=np.float32)[codes], codes


def _ridge(x: np.ndarray, y: np.ndarray, codes: np.ndarray | None, folds: np.ndarray) -> float:
    """Cross-validated skill, the best over a few penalties."""
    best = -1.0
    said = {p: np.zeros_like(y) for p in PENALTIES}
    for fold in range(FOLDS):
        train, held = folds != fold, folds == fold
        if not held.any() or not train.any():
            continue
        centre, mean = x[train].mean(0), y[train].mean(0)
        a, b = x[train] - centre, y[train] - mean
        wide = a.shape[1] > a.shape[0]
        gram = a @ a.T if wide else a.T @ a
        values, vectors = np.linalg.eigh(gram.astype(np.float64))
        project = vectors.T @ (b if wide else a.T @ b)
        for p in PENALTIES:
            inner = vectors @ (project / (np.maximum(values, 0) + p)[:, None])
            weights = a.T @ inner if wide else inner
            said[p][held] = (x[held] - centre) @ weights + mean
    for prediction in said.values():
        best = max(best, _skill(prediction, y, codes))
    return best


def _neighbour(x: np.ndarray, target: np.ndarray, folds: np.ndarray) -> float:
    y, codes = _targets(target)
    said = np.zeros_like(y)
    for fold in range(FOLDS):
        train, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if not len(train) or not len(held):
            continue
        distance = (x[train] ** 2).sum(1) - 2 * x[held] @ x[train].T
        said[held] = y[train[distance.argmin(axis=1)]]
    return _skill(said, y, codes)


def _skill(said: np.ndarray, y: np.ndarray, codes: np.ndarray | None) -> float:
    if codes is None:
        return float(max(-1.0, 1 - ((y - said) ** 2).mean() / (y.var() + 1e-12)))
    most = np.bincount(codes).max() / len(codes)
    return float((np.mean(said.argmax(1) == codes) - most) / (1 - most + 1e-12))
