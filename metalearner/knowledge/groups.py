"""Which data sets are really one: same source, same data, or nearly the same numbers all through."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, combinations

import numpy as np

from ..records import DatasetCard, Description
from ..space import Space

# Near duplicates have as many rows within this share, and descriptions that differ by no more than
# this many robust standard deviations on average, with few single numbers further apart than FAR.
ROWS, MEAN, FAR, FEW = 0.02, 0.15, 0.5, 0.05
# Fewer numbers in common than this prove nothing.
COMMON = 5
# Rows that two data sets share, as MinHash has it; hashes that are compared together to find such pairs.
SHARED, BAND = 0.5, 4
# How far quantiles of columns, and landmarkers, may lie apart on average where the one holds rows of the other.
QUANTILES, LANDMARKERS = 0.06, 0.03


def group(
    cards: Mapping[str, DatasetCard], descriptions: Mapping[str, Description], names: bool = False
) -> dict[str, str]:
    """The group of each data set, by its id; with `names` data sets of one name are one as well.

    A union-find over group, hash, near duplicates, shared rows and columns that are alike. A group is called by the first of
    its members' group names, or by the id of a member that names none.
    """
    parents = {i: i for i in cards}
    seen: dict[tuple[str, str], str] = {}
    for i, card in cards.items():
        keys = [("group", card.group), ("hash", card.data_hash)] + ([("name", card.name)] if names else [])
        for kind, key in keys:
            if key:
                _union(parents, i, seen.setdefault((kind, key if kind == "hash" else simple(key)), i))
    for one, other in chain(near_duplicates(cards, descriptions), same_rows(cards), same_columns(cards, descriptions)):
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


def same_rows(cards: Mapping[str, DatasetCard]) -> Iterable[tuple[str, str]]:
    """Pairs of ids that share half of their rows, whatever was renamed, reordered or rescaled."""
    known = {i: card.sketch.rows for i, card in cards.items() if card.sketch and card.sketch.rows}
    bands: dict[tuple[int, ...], list[str]] = {}
    for i, rows in known.items():
        for start in range(0, len(rows), BAND):
            bands.setdefault((start, *rows[start : start + BAND]), []).append(i)
    for one, other in {pair for ids in bands.values() for pair in combinations(sorted(ids), 2)}:
        if np.mean(np.array(known[one]) == np.array(known[other])) >= SHARED:
            yield one, other


def same_columns(
    cards: Mapping[str, DatasetCard], descriptions: Mapping[str, Description]
) -> Iterable[tuple[str, str]]:
    """Pairs of ids with as many columns of the same quantiles and equal landmarkers: parts of one table, say."""
    alike: dict[tuple[str, int, int], list[str]] = {}
    for i, card in cards.items():
        if card.sketch and card.sketch.quantiles and i in descriptions:
            alike.setdefault((card.modality, card.sketch.columns, len(card.sketch.quantiles)), []).append(i)
    for ids in alike.values():
        quantiles = np.array([cards[i].sketch.quantiles for i in ids])  # type: ignore[union-attr]
        for n, one in enumerate(ids):
            near = np.abs(quantiles[n + 1 :] - quantiles[n]).mean(axis=1) <= QUANTILES
            for other in (ids[n + 1 + m] for m in np.flatnonzero(near)):
                if _as_hard(descriptions[one], descriptions[other]):
                    yield one, other


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


def _as_hard(one: Description, other: Description) -> bool:
    """Whether the same cheap learners do equally well."""
    names = [n for n in one.numbers if n.startswith(("landmarkers.", "complexity."))]
    pairs = [(a, b) for n in names if (a := one.numbers[n]) is not None and (b := other.numbers.get(n)) is not None]
    return len(pairs) >= COMMON and float(np.mean([abs(a - b) for a, b in pairs])) <= LANDMARKERS


def _classes(description: Description) -> Sequence[tuple[str, float]]:
    """The numbers that count classes, exactly."""
    return [(k, round(v, 6)) for k, v in sorted(description.numbers.items()) if "classes" in k and v is not None]


def _root(parents: dict[str, str], i: str) -> str:
    while parents[i] != i:
        parents[i] = i = parents[parents[i]]
    return i


def _union(parents: dict[str, str], one: str, other: str) -> None:
    parents[_root(parents, one)] = _root(parents, other)
