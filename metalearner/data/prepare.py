"""Clean, cut off the sealed test, lay the folds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..arrays import Fields, Ragged
from ..dataset import Dataset
from ..errors import DataError, TaskError
from ..kinds import Output
from ..records import LEFT_OUT, DatasetCard, Finding, Task
from .fingerprint import data_hash, row_hashes, sketch
from .leaks import ALL, given_away, leaks, twice
from .read import Reading
from .sealed import Sealed

# Elements (rows x numbers a row) and rows up to which there are five folds; beyond, one held-out part. Not every config is
# fitted on all folds, and fewer of them would keep more rows from every fit.
FIVE_FOLDS, FEW_ROWS = 1e6, 5000
# Rows below which there are ten: what a fold holds out is missed by what is learnt.
TEN_FOLDS = 150
HELD_OUT, HELD_OUT_OF_MANY = 0.2, 0.1
# With this many training rows, a tenth (at most this many) is kept apart for conformal scores.
APART_FROM, APART_SHARE, APART_MOST = 1000, 0.1, 1000


@dataclass(frozen=True)
class Split:
    """How to cut: the sealed test as a fraction, a reading of its own, or none; and the seed."""

    test: float | Reading | None = 0.2
    seed: int = 0


def prepare(
    task: Task,
    reading: Reading,
    output: Output,
    split: Split,
    card: Mapping[str, str],
    folder: Path,
    keep: Collection[str] = (),
) -> tuple[Dataset, Sealed | None]:
    """Dataset and sealed test, both on disk under `folder`.

    `card` names the data set (name, group, source, licence). Equal rows stay on one side of every cut. A column that
    gives the target away is left out, unless it is one to `keep`, or all are ("*").
    """
    fields, target, findings = _labelled(reading, task)
    if not fields:
        raise DataError(
            f"There is no column beside '{task.target}' to tell it from: {', '.join(reading.schema.names)} is all there is.",
            "Columns that hold one value, or a name for each row, are left out.",
            "Add columns to learn from, or name another target with --target.",
        )
    hashes = row_hashes(fields)
    repeated = len(hashes) - len(np.unique(hashes))
    groups = _groups(hashes, reading, task)
    if task.group_by:
        belong = f"rows of one {task.group_by} belong together ({groups.max() + 1} groups)"
        findings.append(Finding(belong, "kept on one side of every split"))
        _enough_groups(task, groups, sealed=isinstance(split.test, float))
    rng = np.random.default_rng(split.seed)
    rough = output.fit(target)
    strata = output.strata(output.encode(rough, target))
    learn, test = np.arange(len(target)), np.array([], int)
    if isinstance(split.test, float):
        parts = deal(strata, groups, [1 - split.test, split.test], rng, fill=bool(task.group_by))
        learn, test = np.flatnonzero(parts == 0), np.flatnonzero(parts == 1)
    _enough(task, target[learn], len(test))
    state = output.suit(output.fit(target[learn]), task.metric)
    encoded = output.encode(state, target[learn])
    learnt = fields.take(learn)
    telling = leaks(learnt, output.strata(encoded), np.random.default_rng(split.seed))
    findings += given_away(telling, task.target, keep)
    leaking = [] if ALL in keep else [name for name in telling if name not in keep]
    if leaking:
        fields, learnt = fields.without(*leaking), learnt.without(*leaking)
        hashes = row_hashes(fields)  # rows that differed in nothing else are equal now
        groups = _groups(hashes, reading, task)
    outside = (
        (fields.take(test), target[test]) if isinstance(split.test, float) else _outside(split.test, task, leaking)
    )
    findings += twice(hashes[learn], row_hashes(outside[0])) if outside and (leaking or not len(test)) else []
    sealed = Sealed.close(folder / "sealed", outside[0], output.encode(state, outside[1])) if outside else None
    folds, apart = _folds(learnt, output.strata(encoded), groups[learn], rng, fill=bool(task.group_by))
    if repeated:
        kept = "kept on one side of every split"
        if not (_told_apart(folds, encoded) or task.group_by):
            folds, apart = _folds(learnt, output.strata(encoded), np.arange(len(learn)), rng)
            kept = "dealt out one by one all the same, for hardly two of them differ"
        findings.append(Finding(f"{repeated} rows stand more than once", kept))
    dataset = Dataset(
        card=DatasetCard(
            name=card.get("name", "data"),
            group=card.get("group", ""),
            modality=task.modality,
            rows=len(target),
            data_hash=data_hash(hashes ^ row_hashes(Fields({"target": target}))),
            source=card.get("source", ""),
            licence=card.get("licence", ""),
            synthetic=bool(card.get("synthetic")),
            sketch=sketch(fields, hashes),
        ),
        task=task,
        schema=replace(
            reading.schema.without(task.target, *_left_out(reading, task), *leaking), target_hint=task.target
        ),
        label=reading.schema.column(task.target),
        state=state,
        fields=learnt,
        target=encoded,
        folds=folds,
        apart=apart,
        findings=tuple(findings),
    )
    dataset.save(folder)
    return replace(dataset, folder=folder), sealed


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


def _labelled(reading: Reading, task: Task) -> tuple[Fields, np.ndarray, list[Finding]]:
    """Rows whose target is known, inputs apart from target, and what was noticed on the way."""
    target = reading.column(task.target)
    known = np.isfinite(target) if target.dtype.kind == "f" else target != ""
    findings = [
        Finding(f"{c.name}: {c.note.removeprefix(f'{LEFT_OUT}: ')}", LEFT_OUT if c.left_out else "")
        for c in reading.schema.columns
        if c.note and c.name != task.target
    ]
    skipped = int(reading.schema.options.get("skipped", 0) or 0)
    if skipped:
        findings.append(Finding(f"{skipped} files could not be read", "skipped"))
    if not known.all():
        findings.append(Finding(f"{int((~known).sum())} rows have no {task.target}", "left out"))
    fields = reading.fields.without(task.target, *_left_out(reading, task))
    rows = np.flatnonzero(known)
    return (fields if known.all() else fields.take(rows)), target[rows], findings


def _left_out(reading: Reading, task: Task) -> list[str]:
    """Columns the modality found no use for (identifiers, constants, what nobody reads), and what rows are grouped by."""
    useless = [c.name for c in reading.schema.columns if c.left_out and c.name != task.target]
    return list(dict.fromkeys([*useless, *([task.group_by] if task.group_by else [])]))


def _groups(hashes: np.ndarray, reading: Reading, task: Task) -> np.ndarray:
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


def _enough_groups(task: Task, groups: np.ndarray, sealed: bool) -> None:
    """One to learn from, one to be judged on, and one to be sealed where some are."""
    found, needed = int(groups.max()) + 1, 2 + sealed
    if found < needed:
        raise DataError(
            f"All rows belong to {found} of '{task.group_by}', which is too few to learn from some and be judged on others.",
            f"{needed} are needed: no group may stand on both sides of a split.",
            "Group by a column with more values, or leave --group-by out.",
        )


def _enough(task: Task, target: np.ndarray, tested: int) -> None:
    if len(np.unique(target)) < 2:
        raise TaskError(
            f"All {len(target)} training rows have the same '{task.target}' once {tested} are sealed for the test.",
            "Both sides need at least two classes or values.",
            "Add rows of the rarer kind, or use --test none.",
        )


def _outside(test: Reading | None, task: Task, leaking: Sequence[str]) -> tuple[Fields, np.ndarray] | None:
    """The labelled rows of a test source of its own, if there is one, without these columns."""
    if test is None:
        return None
    inputs, raw, _ = _labelled(test, task)
    if not len(raw):
        raise DataError(f"The test source has no rows with a known '{task.target}'.", "", "Give labelled rows.")
    return inputs.without(*leaking), raw


def _folds(
    fields: Fields, strata: np.ndarray, groups: np.ndarray, rng: np.random.Generator, fill: bool = False
) -> tuple[tuple[tuple[np.ndarray, np.ndarray], ...], np.ndarray]:
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


def _told_apart(folds: tuple[tuple[np.ndarray, np.ndarray], ...], target: np.ndarray) -> bool:
    """Whether there are two classes or values to learn from in each fold."""
    return all(len(np.unique(target[train])) > 1 for train, _ in folds)


def _elements(fields: Fields) -> float:
    return float(sum(c.values.size if isinstance(c, Ragged) else c.size for c in fields.values()))
