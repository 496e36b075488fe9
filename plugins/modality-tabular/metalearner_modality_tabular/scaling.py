"""The transform "table-scaling": robust scales, dates as cycles, categories as codes.

Scaling and smooth clipping follow RealMLP (Holzmueller et al. 2024). Both keep the order of the values, so
that trees lose nothing by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metalearner.arrays import Fields, Tensor, Tensors
from metalearner.kinds import State, Transform
from metalearner.records import Axis, Schema, View

from .columns import MOST_LEVELS, used

BOUND = 3.0  # what the smooth clip approaches, in robust deviations
FURTHEST = 3e6  # days since 1970 that a calendar is asked about
FEW = 8  # rows that are looked up one by one


class TableScaling(Transform):
    """Numbers, booleans and dates to `values` (n, p, 1), categories to `codes` (n, q)."""

    name = "table-scaling"

    def fit(self, fields: Fields, schema: Schema) -> State:
        """Learn median and scale of each number, which cycles of a date vary, and the levels of each category."""
        columns = [c for c in used(schema) if c.kind != "category"]
        categories = [c.name for c in used(schema) if c.kind == "category"]
        return {
            "numbers": [_fitted(c.name, c.kind, np.asarray(fields[c.name], np.float64)) for c in columns],
            "categories": [{"name": n, "levels": _levels(np.asarray(fields[n]))} for n in categories],
        }

    def apply(self, state: State, fields: Fields) -> Tensors:
        """Values within +-BOUND, NaN where missing; codes 0 where missing or never seen, None without categories."""
        columns = state["numbers"]
        raw = np.empty((fields.rows, len(columns)))
        for j, column in enumerate(columns):
            raw[:, j] = fields[column["name"]]
        centre, scale = (np.array([column[key] for column in columns]) for key in ("centre", "scale"))
        values = _clipped((raw - centre) / scale).astype(np.float32)
        if any(column["cycles"] for column in columns):
            values = _with_cycles(values, raw, columns)
        codes = [_codes(np.asarray(fields[c["name"]]), c["levels"]) for c in state["categories"]]
        return {"table": Tensor(values[:, :, None], np.stack(codes, axis=1) if codes else None)}

    def views(self, state: State) -> dict[str, View]:
        """The view "table"."""
        sizes = tuple(len(c["levels"]) + 1 for c in state["categories"])
        return {"table": View((Axis("columns", _width(state)),), 1, sizes)}


def _fitted(name: str, kind: str, values: np.ndarray) -> dict[str, Any]:
    """Centre and scale of one column (n,), and the cycles of a date."""
    present = values[np.isfinite(values)]
    cycles = [c for c in ("month", "weekday", "hour") if kind == "date" and _varies(_turns(present, c))]
    if not len(present):
        return {"name": name, "centre": 0.0, "scale": 1.0, "cycles": cycles}
    low, middle, high = (float(q) for q in np.percentile(present, [25, 50, 75]))
    floor = 1e-14 * max(abs(middle), 1e-280)  # below it there is only rounding
    scale = (high - low) / 1.349
    if scale <= floor:
        scale = float(present.std())
    return {"name": name, "centre": middle, "scale": scale if scale > floor else 1.0, "cycles": cycles}


def _levels(column: np.ndarray) -> list[str]:
    """The levels that are there, most frequent first."""
    counts = Counter(column.tolist())
    counts.pop("", None)
    ranked = sorted(counts.items(), key=lambda level: (-level[1], level[0]))
    return [word for word, _ in ranked[:MOST_LEVELS]]


def _with_cycles(values: np.ndarray, raw: np.ndarray, columns: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Values (n, p) with sine and cosine of its cycles after each date."""
    found = []
    for j, column in enumerate(columns):
        found.append(values[:, j])
        for cycle in column["cycles"]:
            turns = 2 * np.pi * _turns(raw[:, j], cycle)
            found += [np.sin(turns), np.cos(turns)]
    return np.stack(found, axis=1).astype(np.float32)


def _codes(column: np.ndarray, levels: list[str]) -> np.ndarray:
    if len(column) <= FEW:  # a dictionary would take longer to make than it saves
        return np.array([levels.index(word) + 1 if word in levels else 0 for word in column.tolist()], np.int64)
    code = {level: i for i, level in enumerate(levels, 1)}
    return np.fromiter((code.get(word, 0) for word in column.tolist()), np.int64, len(column))


def _clipped(z: np.ndarray) -> np.ndarray:
    """Smoothly to +-BOUND, the middle left alone."""
    z = np.clip(z, -1e100, 1e100)  # the square must not overflow
    return z / np.sqrt(1 + (z / BOUND) ** 2)


def _turns(days: np.ndarray, cycle: str) -> np.ndarray:
    """How far along its year (in months), week or day each date is, 0..1; NaN where missing."""
    known = np.isfinite(days)
    at = np.clip(np.where(known, days, 0.0), -FURTHEST, FURTHEST)
    if cycle == "hour":
        turns = at - np.floor(at)
    elif cycle == "weekday":
        turns = np.floor(at) % 7 / 7
    else:
        months = np.floor(at).astype(np.int64).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        turns = months % 12 / 12
    return np.where(known, turns, np.nan)


def _varies(turns: np.ndarray) -> bool:
    return len(turns) > 0 and float(np.ptp(turns)) > 0


def _width(state: Mapping[str, Any]) -> int:
    """Numbers a row has."""
    return sum(1 + 2 * len(column["cycles"]) for column in state["numbers"])
