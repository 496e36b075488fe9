"""What makes a score too good to be true: a column that gives the target away, test rows that are learnt from."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping

import numpy as np

from ..arrays import Fields
from ..records import LEFT_OUT, Finding

# Of what is to be told, as much by one column alone is told by something that is the target in other words.
TELLS = 0.98
# Stands for every column where columns to keep are named.
ALL = "*"
# Where more columns than this do so, it is an easy task and no leak. Rows needed, rows and columns looked at; bins of a number,
# of which the fifths are some.
MOST_TELLING, FEWEST, ROWS, COLUMNS, BINS = 2, 100, 5000, 200, 60


def leaks(fields: Fields, strata: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Columns that alone tell the strata (n,) of the target, with the skill they do so with on rows it was not learnt from."""
    columns = [name for name, values in fields.items() if isinstance(values, np.ndarray) and values.ndim == 1]
    if not 1 < len(columns) <= COLUMNS or len(strata) < FEWEST:
        return {}
    some = rng.permutation(len(strata))[:ROWS]
    told = {n: skill(_levels(np.asarray(fields[n])[some]), strata[some]) for n in columns}
    telling = {n: of for n, of in told.items() if of >= TELLS}
    return telling if len(telling) <= MOST_TELLING and len(telling) < len(fields) else {}


def given_away(telling: Mapping[str, float], target: str, keep: Collection[str]) -> list[Finding]:
    """What is said of them, and done: they are left out, unless somebody asked to keep them."""
    return [
        Finding(
            f"{name} gives {target} away (skill {of:.3f} alone)",
            *(("kept", "") if {name, ALL} & set(keep) else (LEFT_OUT, f"--keep {shlex.quote(name)}")),
        )
        for name, of in telling.items()
    ]


def twice(learnt: np.ndarray, sealed: np.ndarray) -> list[Finding]:
    """Rows of a test of its own, by their hashes (m,), that are among those learnt from (n,)."""
    again = int(np.isin(sealed, learnt).sum())
    if not again:
        return []
    return [
        Finding(
            f"{again:,} of {len(sealed):,} test rows have inputs that are learnt from, too",
            "kept; the score may flatter",
        )
    ]


def skill(levels: np.ndarray, strata: np.ndarray) -> float:
    """How far a column's levels (n,) alone tell the strata (n,): learnt on even places, asked on odd ones; 0 the commonest, 1 all."""
    table = np.zeros((levels.max() + 1, strata.max() + 1), int)
    np.add.at(table, (levels[::2], strata[::2]), 1)
    commonest = int(np.bincount(strata[::2]).argmax())
    said = np.where(table.sum(axis=1) > 0, table.argmax(axis=1), commonest)[levels[1::2]]
    truth = strata[1::2]
    naive = float((truth == commonest).mean())
    return (float((said == truth).mean()) - naive) / max(1 - naive, 1e-12)


def _levels(column: np.ndarray) -> np.ndarray:
    """Small integers (n,): words by their kind, numbers by up to BINS quantiles, what is missing apart."""
    if column.dtype.kind not in "fiub":
        return np.unique(column.astype(str), return_inverse=True)[1]
    values = column.astype(float)
    known = np.isfinite(values)
    levels = np.zeros(len(values), int)
    if known.any():
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, BINS + 1)[1:-1]))
        levels[known] = 1 + np.searchsorted(edges, values[known], side="right")
    return levels
