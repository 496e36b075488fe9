"""A data set as the records of the base saw it, and the seconds that a trial on it may take."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import sources
from ..data import read
from ..events import Story
from ..plugins import Registry
from ..request import Request
from ..setting import Setting
from ..steps.understand import formulate_and_prepare
from ..task import Wish

# What is learnt from at most, and about how many held-out rows tell configs apart: no more folds than that takes.
ROWS, TELLING = 3000, 300
# Seconds that a trial may take: some for all, and some for each number among the rows it learns from. Networks along ordered
# axes do more with each number, and more often.
LEAST, EACH = 2.0, 3e-6
LEAST_ORDERED, EACH_ORDERED, MOST = 5.0, 6e-6, 20.0
# Where a pretrained model may read the rows, so many more for each of them: it reads them once, and is tuned on them.
EACH_READ, MOST_READ = 0.02, 60.0
ORDERED = ("time", "space", "tokens")
SEED = 0


def prepared(name: str, registry: Registry, folder: Path, folds: int | None = None) -> Setting:
    """A data set of the catalogue as the records of the base saw it: seed 0, a fifth sealed, not too many rows.

    It has the first so many folds; as many as hold out TELLING rows where that is not said.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = sources.find(name)
    reading = replace(read(source.source, registry.modalities), most=ROWS)
    request = Request(name, Wish(), seed=SEED)
    setting, _ = formulate_and_prepare(request, source, reading, registry, folder, Story(folder / "events.jsonl"))
    dataset = setting.dataset
    held = np.cumsum([len(valid) for _, valid in dataset.folds])
    enough = int(np.searchsorted(held, TELLING)) + 1 if folds is None else folds
    if enough < len(dataset.folds):
        setting = replace(setting, dataset=replace(dataset, folds=dataset.folds[:enough]))
        setting.dataset.save(folder / "data")
    return setting


def seconds(setting: Setting) -> float:
    """What a trial may take on these data."""
    ordered = any(kind in ORDERED for view in setting.views.values() for kind in view.kinds)
    least, each = (LEAST_ORDERED, EACH_ORDERED) if ordered else (LEAST, EACH)
    views, fits = setting.views.values(), setting.dataset.folds
    numbers = sum(int(np.prod(v.shape)) + len(v.cardinalities) for v in views)
    read = sum(bool(v.raw) for v in views) * setting.dataset.rows
    return min(MOST, least + each * numbers * sum(len(train) for train, _ in fits)) + min(MOST_READ, EACH_READ * read)
