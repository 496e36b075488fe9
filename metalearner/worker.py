"""A worker process begins here: it loads the plugins, waits for the data, and fits what it is handed."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import kinds, plugins
from .arrays import Fold, rows_of
from .dataset import Dataset
from .kinds import Aim, Job, Learner, Model, Output
from .records import Config, Trial, View
from .train.objective import Objective


@dataclass(frozen=True)
class Begin(kinds.Begin):
    """Called once in each worker. `folder` is the run's; its data may still be on their way."""

    folder: Path
    began: float

    def __call__(self) -> Callable[[Job], Iterator[Trial]]:
        """Import what is heavy while the data are being prepared, then open them."""
        registry = plugins.load()
        import torch

        torch.set_num_threads(1)
        parent = os.getppid()
        while not (self.folder / "data" / "dataset.json").exists():
            if os.getppid() != parent:
                raise SystemExit(0)
            time.sleep(0.02)
        dataset = Dataset.open(self.folder / "data")
        aim = Aim(
            registry.get("outputs", dataset.task.output),
            dataset.state,
            registry.get("metrics", dataset.task.metric),
            registry,
        )
        modality = registry.get("modalities", dataset.task.modality)
        transform = registry.get("transforms", modality.transform)
        views = modality.views(dataset.schema)
        fitting = [one for one in registry.learners.values() if _accepts(one, views, aim.output)]
        threading.Thread(target=_warm, args=(fitting, views), daemon=True).start()

        def taken(model: Model, config: Config, fold: Fold) -> dict[str, Any]:
            from .deploy.portable import PROOF, Export  # most tasks limit nothing and need none of this
            from .deploy.weigh import weigh

            learner = registry.get("learners", config.production)
            few = np.arange(min(PROOF, rows_of(fold.valid)))
            rows = {name: tensor.take(few) for name, tensor in fold.valid.items()}
            return weigh(model, learner, aim, Export("", model, fold.views, rows, registry.forms))

        return Objective(dataset, transform, aim, self.folder / "trials", self.began, taken)

    def at(self, folder: Path) -> Begin:
        """The same for a copy of the run's folder elsewhere, whose clock may be another."""
        return replace(self, folder=folder)


def _accepts(learner: Learner, views: Mapping[str, View], output: Output) -> bool:
    """Whether fits of it may come; of one that fails when it is asked none do, which the run itself says."""
    try:
        return learner.accepts(views, output)
    except Exception:
        return False


def _warm(learners: Iterable[Learner], views: Mapping[str, View]) -> None:
    """Beside a worker's first fit, what fits to come need; what cannot be had here is missed, and told of, there."""
    for one in learners:
        with contextlib.suppress(Exception):
            one.warm(views)
