"""Which data sets are really one: same source, same data, or nearly the same numbers all through."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..records import DatasetCard, Description
from .space import Space

# Near duplicates have as many rows within this share, and descriptions that differ by no more than
# this many robust standard deviations on average, with few single numbers further apart than FAR.
ROWS, MEAN, FAR, FEW = 0.02, 0.15, 0.5, 0.05
# Fewer numbers in common than this prove nothing.
COMMON = 5


def group(
    cards: Mapping[str, DatasetCard], descriptions: Mapping[str, Description], names: bool = False
) -> dict[str, str]:
    """The group of each data set, by its id; with `names` data sets of one name are one as well.

    A union-find over group, hash and near duplicates. A group is called by the first of its members' group
    names, or by the id of a member that names none.
    """
    parents = {i: i for i in cards}
    seen: dict[tuple[str, str], str] = {}
    for i, card in cards.items():
        keys = [("group", card.group), ("hash", card.data_hash)] + ([("name", card.name)] if names else [])
        for kind, key in keys:
            if key:
                _union(parents, i, seen.setdefault((kind, key if kind == "hash" else simple(key)), i))
    for one, other in near_duplicates(cards, descriptions):
        _union(parents, one, other)
    members: dict[str, list[str]] = {}
    for i in cards:
        members.setdefault(_root(parents, i), []).append(i)
    called = {root: min(cards[i].group or i for i in ids) for root, ids in members.items()}
    return {i: called[_root(parents, i)] for i in cards}


def near_duplicates(
    cards: Mapping[str, DatasetCard], descriptions: Mapping[str, Description]
) -> Iterable[tuple[str, str]]:
    """Pairs of ids whose rows, classes and description numbers all but agree."""
    ids = sorted((i for i in cards if i in descriptions), key=lambda i: cards[i].rows)
    if len(ids) < 2:
        return
    found = [descriptions[i] for i in ids]
    space = Space.fit(found)
    standard = space.standard(found)  # (n, p), NaN where missing
    rows = np.array([cards[i].rows for i in ids])
    classes = [_classes(d) for d in found]
    for i, one in enumerate(ids):
        last = int(np.searchsorted(rows, rows[i] * (1 + ROWS), side="right"))
        difference = np.abs(standard[i + 1 : last] - standard[i])  # (m, p)
        common = np.isfinite(difference).sum(axis=1)
        for j in np.flatnonzero(common >= COMMON):
            if classes[i] == classes[i + 1 + j] and _close(difference[j]):
                yield one, ids[i + 1 + j]


def simple(name: str) -> str:
    """A name without case, file ending and punctuation.

    >>> simple("Heart_Disease.csv")
    'heart-disease'
    """
    stem = re.sub(r"\.[a-z0-9]{1,5}$", "", name.lower())
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or name


def _close(difference: np.ndarray) -> bool:
    known = difference[np.isfinite(difference)]
    return bool(known.mean() <= MEAN and np.mean(known > FAR) <= FEW)


def _classes(description: Description) -> Sequence[tuple[str, float]]:
    """The numbers that count classes, exactly."""
    return [(k, round(v, 6)) for k, v in sorted(description.numbers.items()) if "classes" in k and v is not None]


def _root(parents: dict[str, str], i: str) -> str:
    while parents[i] != i:
        parents[i] = i = parents[parents[i]]
    return i


def _union(parents: dict[str, str], one: str, other: str) -> None:
    parents[_root(parents, one)] = _root(parents, other)
