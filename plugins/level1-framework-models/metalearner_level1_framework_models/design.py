"""The design matrix of linear models: what they see of numbers and codes, learnt from training rows.

Numbers are centred, scaled and held within a margin of the range seen in training; missing ones become 0
beside an indicator. Codes become one column a level. On request squares or splines of numbers follow, and
products of pairs. All columns are centred and scaled so that a row's expected squared length is 1, which
makes one penalty mean the same for 4 columns and for 4,000.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

MARGIN = 0.25  # a number may leave the training range by this share of it; beyond, it is held at the edge
KNOTS = 7  # of a spline, at quantiles
PAIRED = 32  # columns whose pairwise products are taken
LEVELS = 200  # of one categorical column, the most frequent
EXPANDED = 4000  # columns that squares or splines may add
EXTRA = 0.5  # length of the expansions, and of the products, beside 1 for the plain columns
LOOKED_AT = 2000  # rows that quantiles are taken from


@dataclass(frozen=True)
class Design:
    """Fitted columns, as arrays so that they can be stored as such."""

    kept: np.ndarray  # (k,) numeric columns that vary
    centre: np.ndarray  # (k,)
    scale: np.ndarray  # (k,)
    low: np.ndarray  # (k,) bounds after centring and scaling
    high: np.ndarray
    missing: np.ndarray  # (m,) positions among the kept with missing values
    levels: np.ndarray  # (l, 2) code column and level
    squares: np.ndarray  # (s,) positions among the kept
    hinges: np.ndarray  # (h,) positions among the kept
    knots: np.ndarray  # (h,)
    pairs: np.ndarray  # (t, 2) positions among all columns before them
    mean: np.ndarray  # (p,)
    norm: np.ndarray  # (p,) by which the centred column is multiplied

    @classmethod
    def fit(
        cls, numeric: np.ndarray, codes: np.ndarray, target: np.ndarray, numbers: Mapping[str, Any]
    ) -> tuple[Self, np.ndarray]:
        """The columns for these rows, and their matrix (n, p). `target` is (n, k) and chooses the pairs."""
        found: dict[str, np.ndarray] = _standard(numeric)
        found["levels"] = _levels(codes)
        found |= _expansions(numeric, found, numbers["expansion"])
        found |= {"pairs": np.zeros((0, 2), np.int64), "mean": np.zeros(0), "norm": np.ones(0)}
        base = cls(**found)._columns(numeric, codes)
        if numbers["interactions"]:
            found["pairs"] = _pairs(base, target)
            base = np.concatenate([base, _products(base, found["pairs"])], axis=1)
        found["mean"] = base.mean(axis=0, dtype=np.float64)
        found["norm"] = _norm(base, found)
        base -= found["mean"]
        base *= found["norm"]
        return cls(**found), base

    def matrix(self, numeric: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Rows as the model sees them: (n, p)."""
        base = self._columns(numeric, codes)
        return (np.concatenate([base, _products(base, self.pairs)], axis=1) - self.mean) * self.norm

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything by name, to be stored."""
        return {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """What `arrays` gave."""
        return cls(**{f.name: arrays[f.name] for f in fields(cls)})

    def _columns(self, numeric: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """All columns but the products, neither centred nor scaled: numbers, missing, levels, expansions."""
        values = numeric[:, self.kept]
        z = np.subtract(values, self.centre, dtype=np.float64 if numeric.size <= PRECISE else np.float32)
        z /= self.scale.astype(z.dtype)
        absent = np.isnan(values[:, self.missing])
        np.nan_to_num(z, copy=False, nan=0.0)
        np.clip(z, self.low.astype(z.dtype), self.high.astype(z.dtype), out=z)
        indicators = codes[:, self.levels[:, 0]] == self.levels[:, 1]
        hinges = np.maximum(z[:, self.hinges] - self.knots.astype(z.dtype), 0)
        parts: Sequence[np.ndarray] = (z, absent, indicators, z[:, self.squares] ** 2, hinges)
        return np.concatenate([p.astype(z.dtype, copy=False) for p in parts], axis=1)


# Matrices of more numbers are kept in float32.
PRECISE = 4_000_000


def _standard(numeric: np.ndarray) -> dict[str, np.ndarray]:
    """Which columns vary, their centre, scale and bounds, and which have gaps."""
    known = ~np.isnan(numeric)
    count = known.sum(axis=0)
    some = bool((count < len(numeric)).any())
    filled = np.where(known, numeric, 0) if some else numeric
    centre = filled.sum(axis=0, dtype=np.float64) / np.maximum(count, 1)
    spread = np.square(filled - centre.astype(np.float32), dtype=np.float32)
    if some:
        spread *= known
    scale = np.sqrt(spread.sum(axis=0, dtype=np.float64) / np.maximum(count, 1))
    low = np.where(known, numeric, np.inf).min(axis=0, initial=np.inf) if some else numeric.min(axis=0)
    high = np.where(known, numeric, -np.inf).max(axis=0, initial=-np.inf) if some else numeric.max(axis=0)
    gaps = count < len(numeric)
    varies = (high > low) & (scale > 1e-7 * (1 + np.abs(centre)))
    kept = np.flatnonzero(varies | (gaps & (count > 0)))
    centre, scale = centre[kept], np.where(varies, scale, 1.0)[kept]
    low, high = (low[kept] - centre) / scale, (high[kept] - centre) / scale
    margin = MARGIN * (high - low)
    gaps = np.flatnonzero(gaps[kept])
    return {"kept": kept, "centre": centre, "scale": scale, "low": low - margin, "high": high + margin, "missing": gaps}


def _levels(codes: np.ndarray) -> np.ndarray:
    """Levels seen in each column, the most frequent ones; in a column of many, only those seen twice."""
    found: list[tuple[int, int]] = []
    for column in range(codes.shape[1]):
        levels, counts = np.unique(codes[:, column], return_counts=True)
        often = levels[counts > 1] if len(levels) > 50 else levels
        order = np.argsort(-counts[np.isin(levels, often)], kind="stable")[:LEVELS]
        found += [(column, int(level)) for level in np.sort(often[order])]
    return np.array(found, np.int64).reshape(-1, 2)


def _expansions(numeric: np.ndarray, found: Mapping[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """Which kept columns get a square, or hinges and where: those of three values or more, as far as there is room."""
    nothing = np.zeros(0, np.int64)
    empty = {"squares": nothing, "hinges": nothing, "knots": np.zeros(0)}
    kept = found["kept"]
    if kind == "none" or not 0 < len(kept) <= EXPANDED:
        return empty
    step = max(1, len(numeric) // LOOKED_AT)
    z = np.sort((numeric[::step, kept] - found["centre"]) / found["scale"], axis=0)  # NaN last
    rich = np.flatnonzero((np.diff(z, axis=0) > 1e-6).sum(axis=0) >= 2)
    if kind == "squares":
        return empty | {"squares": rich}
    hinges, knots = _knots(z[:, rich], max(1, min(KNOTS, EXPANDED // max(1, len(rich)))))
    return empty | {"hinges": rich[hinges], "knots": knots}


def _knots(z: np.ndarray, many: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and places of hinges: at most `many` quantiles of each sorted column (NaN last), inside its range."""
    count = (~np.isnan(z)).sum(axis=0)
    at = np.arange(1, many + 1)[:, None] * (count - 1) // (many + 1)
    found = np.take_along_axis(z, at, axis=0)  # (many, columns)
    inside = (found > z[0] + 1e-6) & (found < np.take_along_axis(z, count[None] - 1, axis=0) - 1e-6)
    inside[1:] &= np.diff(found, axis=0) > 1e-6
    column, place = np.nonzero(inside.T)
    return column, found[place, column].astype(np.float64)


def _pairs(base: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Pairs of the columns that go with the target most: (t, 2)."""
    centred = base - base.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0)) + 1e-12
    strength = np.abs(centred.T @ (target - target.mean(axis=0))).max(axis=1) / length
    best = np.sort(np.argsort(-np.round(strength, 9), kind="stable")[:PAIRED])
    first, second = np.triu_indices(len(best), k=1)
    return np.stack([best[first], best[second]], axis=1).astype(np.int64)


def _products(base: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return base[:, pairs[:, 0]] * base[:, pairs[:, 1]]


def _norm(base: np.ndarray, found: Mapping[str, np.ndarray]) -> np.ndarray:
    """Multipliers: to unit spread, but indicators as they are; constant columns to 0; then blocks to their length."""
    spread = base.std(axis=0, dtype=np.float64)
    numbers, indicators = len(found["kept"]), len(found["missing"]) + len(found["levels"])
    expanded, paired = len(found["squares"]) + len(found["hinges"]), len(found["pairs"])
    block = np.repeat([0, 1, 2, 3], [numbers, indicators, expanded, paired])
    norm = np.where(block == 1, 1.0, 1 / np.maximum(spread, 1e-12)) * (spread > 1e-6)
    for blocks, length in (([0, 1], 1.0), ([2], EXTRA), ([3], EXTRA)):
        inside = np.isin(block, blocks)
        norm[inside] *= length / np.sqrt(max(np.sum((norm[inside] * spread[inside]) ** 2), 1e-24))
    return norm
