"""Clean, cut off the sealed test, lay the folds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..arrays import Fields
from ..dataset import Dataset
from ..errors import DataError, TaskError
from ..kinds import Output
from ..records import LEFT_OUT, DatasetCard, Finding, Task
from .cuts import belonging, deal, enough_groups, lay_folds, told_apart
from .fingerprint import data_hash, row_hashes, sketch
from .leaks import ALL, given_away, leaks, twice
from .read import Reading
from .sealed import Sealed

Labelled = tuple[Fields, np.ndarray]  # rows and what they are


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
    _something(fields, reading, task)
    hashes = row_hashes(fields)
    repeated = len(hashes) - len(np.unique(hashes))
    groups = belonging(hashes, reading, task)
    if task.group_by:
        belong = f"rows of one {task.group_by} belong together ({groups.max() + 1} groups)"
        findings.append(Finding(belong, "kept on one side of every split"))
        enough_groups(task, groups, sealed=isinstance(split.test, float))
    rng = np.random.default_rng(split.seed)
    learn, test = _cut(task, target, groups, output, split, rng)
    state = output.suit(output.fit(target[learn]), task.metric)
    encoded = output.encode(state, target[learn])
    strata = output.strata(encoded)

    learnt = fields.take(learn)
    telling = leaks(learnt, strata, np.random.default_rng(split.seed))
    findings += given_away(telling, task.target, keep)
    leaking = [] if ALL in keep else [name for name in telling if name not in keep]
    if leaking:
        fields, learnt = fields.without(*leaking), learnt.without(*leaking)
        hashes = row_hashes(fields)  # rows that differed in nothing else are equal now
        groups = belonging(hashes, reading, task)

    if isinstance(split.test, float):
        outside: Labelled | None = (fields.take(test), target[test])
    else:
        outside = _outside(split.test, task, leaking)
    findings += twice(hashes[learn], row_hashes(outside[0])) if outside and (leaking or not len(test)) else []
    sealed = Sealed.close(folder / "sealed", outside[0], output.encode(state, outside[1])) if outside else None

    folds, apart = lay_folds(learnt, strata, groups[learn], rng, fill=bool(task.group_by))
    if repeated:
        kept = "kept on one side of every split"
        if not (told_apart(folds, encoded) or task.group_by):
            folds, apart = lay_folds(learnt, strata, np.arange(len(learn)), rng)
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


def _cut(
    task: Task, target: np.ndarray, groups: np.ndarray, output: Output, split: Split, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The rows that are learnt from, and those of them that are sealed instead where a share of them is."""
    learn, test = np.arange(len(target)), np.array([], int)
    if isinstance(split.test, float):
        strata = output.strata(output.encode(output.fit(target), target))
        parts = deal(strata, groups, [1 - split.test, split.test], rng, fill=bool(task.group_by))
        learn, test = np.flatnonzero(parts == 0), np.flatnonzero(parts == 1)
    _enough(task, target[learn], len(test))
    return learn, test


def _something(fields: Fields, reading: Reading, task: Task) -> None:
    if not fields:
        raise DataError(
            f"There is no column beside '{task.target}' to tell it from: {', '.join(reading.schema.names)} is all there is.",
            "Columns that hold one value, or a name for each row, are left out.",
            "Add columns to learn from, or name another target with --target.",
        )


def _enough(task: Task, target: np.ndarray, tested: int) -> None:
    if len(np.unique(target)) < 2:
        raise TaskError(
            f"All {len(target)} training rows have the same '{task.target}' once {tested} are sealed for the test.",
            "Both sides need at least two classes or values.",
            "Add rows of the rarer kind, or use --test none.",
        )


def _outside(test: Reading | None, task: Task, leaking: Sequence[str]) -> Labelled | None:
    """The labelled rows of a test source of its own, if there is one, without these columns."""
    if test is None:
        return None
    inputs, raw, _ = _labelled(test, task)
    if not len(raw):
        raise DataError(f"The test source has no rows with a known '{task.target}'.", "", "Give labelled rows.")
    return inputs.without(*leaking), raw
