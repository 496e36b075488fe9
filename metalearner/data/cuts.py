"""Which rows are on which side: what belongs together, parts of a data set, and folds."""

from __future__ import annotations

import numpy as np

from ..arrays import Fields, Ragged
from ..errors import DataError
from ..records import Task
from .read import Reading

# Elements (rows x numbers a row) and rows up to which there are five folds; beyond, one held-out part. Not every config is
# fitted on all folds, and fewer of them would keep more rows from every fit.
FIVE_FOLDS, FEW_ROWS = 1e6, 5000
# Rows below which there are ten: what a fold holds out is missed by what is learnt.
TEN_FOLDS = 150
HELD_OUT, HELD_OUT_OF_MANY = 0.2, 0.1
# With this many training rows, a tenth (at most this many) is kept apart for conformal scores.
APART_FROM, APART_SHARE, APART_MOST = 1000, 0.1, 1000

Folds = tuple[tuple[np.ndarray, np.ndarray], ...]  # rows learnt from and rows held out, of each


def deal(
    strata: np.ndarray, groups: np.ndarray, shares: list[float], rng: np.random.Generator, fill: bool = False
) -> np.ndarray:
    """Part number for each row: parts have these shares of every stratum; a group is never torn apart.

    With `fill` no part is left empty as long as there are as many groups.

    >>> parts = deal(np.array([0] * 50 + [1] * 50), np.arange(100), [.8, .2], np.random.default_rng(0))
    >>> [int(((parts == 1) & s).sum()) for s in (np.arange(100) < 50, np.arange(100) >= 50)]
    [10, 10]
    """
    order, first = np.unique(groups, return_index=True)
    stratum_of = strata[first]
    part_of = np.zeros(len(order), int)
    edges = np.cumsum(shares) / np.sum(shares)
    for stratum in np.unique(stratum_of):
        members = rng.permutation(np.flatnonzero(stratum_of == stratum))
        # A random offset spreads the odd ones of small strata over the parts.
        places = (np.arange(len(members)) + rng.random()) / len(members)
        part_of[members] = np.minimum(np.searchsorted(edges, places, side="right"), len(shares) - 1)
    sizes = np.bincount(part_of, minlength=len(shares))
    for empty in np.flatnonzero(sizes == 0)[: len(order) - np.count_nonzero(sizes)] if fill else ():
        largest = np.bincount(part_of).argmax()
        part_of[rng.choice(np.flatnonzero(part_of == largest))] = empty
    return part_of[np.searchsorted(order, groups)]


def belonging(hashes: np.ndarray, reading: Reading, task: Task) -> np.ndarray:
    """Numbers from 0 (n,), the same for rows that no split may tear apart."""
    alike = np.unique(hashes, return_inverse=True)[1]
    return _joined(alike, reading, task) if task.group_by else alike


def _joined(groups: np.ndarray, reading: Reading, task: Task) -> np.ndarray:
    """Groups so large that neither equal rows nor rows of one group are torn apart; a row without a group is its own."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    target, column = reading.column(task.target), reading.column(task.group_by)
    known = np.isfinite(target) if target.dtype.kind == "f" else target != ""
    named = column[known].astype(str)
    _, place = np.unique(named, return_inverse=True)
    rows, n = np.flatnonzero((named != "") & (named != "nan")), groups.max() + 1
    links = coo_array((np.ones(len(rows)), (groups[rows], n + place[rows])), shape=(n + place.max() + 1,) * 2)
    return np.unique(connected_components(links, directed=False)[1][groups], return_inverse=True)[1]


def enough_groups(task: Task, groups: np.ndarray, sealed: bool) -> None:
    """One to learn from, one to be judged on, and one to be sealed where some are."""
    found, needed = int(groups.max()) + 1, 2 + sealed
    if found < needed:
        raise DataError(
            f"All rows belong to {found} of '{task.group_by}', which is too few to learn from some and be judged on others.",
            f"{needed} are needed: no group may stand on both sides of a split.",
            "Group by a column with more values, or leave --group-by out.",
        )


def lay_folds(
    fields: Fields, strata: np.ndarray, groups: np.ndarray, rng: np.random.Generator, fill: bool = False
) -> tuple[Folds, np.ndarray]:
    """Folds as (training rows, held-out rows), and the rows kept apart from all of them."""
    n = len(strata)
    apart = np.array([], int)
    inside = np.arange(n)
    if n >= APART_FROM and len(np.unique(groups)) > 2:
        share = min(APART_SHARE, APART_MOST / n)
        parts = deal(strata, groups, [1 - share, share], rng, fill)
        inside, apart = np.flatnonzero(parts == 0), np.flatnonzero(parts == 1)
    elements = _elements(fields)
    count = 5 if (elements <= FIVE_FOLDS and n < FEW_ROWS) or n < 300 else 1
    count = 10 if n < TEN_FOLDS else count
    count = min(count, max(2, len(np.unique(groups[inside]))))
    if count == 1:
        held = HELD_OUT if n < FEW_ROWS else HELD_OUT_OF_MANY
        parts = deal(strata[inside], groups[inside], [1 - held, held], rng, fill)
        return ((inside[parts == 0], inside[parts == 1]),), apart
    parts = deal(strata[inside], groups[inside], [1.0] * count, rng, fill)
    return tuple((inside[parts != k], inside[parts == k]) for k in np.unique(parts)), apart


def told_apart(folds: Folds, target: np.ndarray) -> bool:
    """Whether there are two classes or values to learn from in each fold."""
    return all(len(np.unique(target[train])) > 1 for train, _ in folds)


def _elements(fields: Fields) -> float:
    return float(sum(c.values.size if isinstance(c, Ragged) else c.size for c in fields.values()))
