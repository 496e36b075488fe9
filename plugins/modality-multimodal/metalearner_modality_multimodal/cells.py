"""Late fusion: learners that look at the plain cells of a row alone, beside others that look at everything.

Where a few numbers say most, what is drowned in them by thousands of pixels or words is found here; the ensemble joins the two.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import Fold, Tensors
from metalearner.foldwise import FoldByFold
from metalearner.kinds import Aim, Family, Learner, Model, Output, Production, Rung, Slot
from metalearner.records import Config, View


class Cells(Production):
    """Learner -> Learner: the inner one sees the plain cells alone."""

    name = "cells"
    symbol = "learner"
    parts = {"learner": Slot("learner")}
    tags = ("multimodal",)


@dataclass(frozen=True)
class CellsModel(Model):
    """A model of some of the views."""

    names: tuple[str, ...]  # of the views it sees
    learner: str
    inner: Model

    def predict(self, tensors: Tensors) -> np.ndarray:
        """As the inner model."""
        return self.inner.predict({name: tensors[name] for name in self.names})

    def save(self, folder: Path) -> None:
        """`cells.json`, and the inner model in a folder of its own."""
        (folder / "cells.json").write_text(json.dumps({"names": self.names, "learner": self.learner}))
        (folder / "inner").mkdir()
        self.inner.save(folder / "inner")


class CellsLearner(FoldByFold):
    """Hands the cells to the inner learner."""

    name = Cells.name

    def accepts(self, views: Mapping[str, View], output: Output) -> bool:
        """Cells, and something else beside them."""
        return beside(views)

    def fit_one(
        self, config: Config, fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[CellsModel, dict[str, Any]]:
        """By the inner learner. There is nothing to resume."""
        (inner,) = config.parts["learner"]
        views = of_cells(fold.views)
        train, valid = ({name: tensors[name] for name in views} for tensors in (fold.train, fold.valid))
        inside = replace(fold, views=views, train=train, valid=valid, state={})
        learner: Learner = aim.registry.get("learners", inner.production)
        fitted = next(iter(learner.fit([inner], [inside], aim, upto, [None])))
        return CellsModel(tuple(views), inner.production, fitted.models[0]), dict(fitted.facts)

    def load(self, folder: Path, aim: Aim) -> CellsModel:
        """Read back what `CellsModel.save` wrote."""
        about = json.loads((folder / "cells.json").read_text())
        learner: Learner = aim.registry.get("learners", about["learner"])
        return CellsModel(tuple(about["names"]), about["learner"], learner.load(folder / "inner", aim))

    def look(self, config: Config, views: Mapping[str, View], aim: Aim) -> Mapping[str, Any]:
        """As of the inner learner."""
        (inner,) = config.parts["learner"]
        learner: Learner = aim.registry.get("learners", inner.production)
        return learner.look(inner, of_cells(views), aim)


def of_cells(views: Mapping[str, View]) -> dict[str, View]:
    """The views of plain cells."""
    return {name: view for name, view in views.items() if view.kinds == ("columns",) and not view.raw}


def beside(views: Mapping[str, View]) -> bool:
    """Whether there are cells, and something else."""
    return 0 < len(of_cells(views)) < len(views)


def _family(learner: str, words: str, *numbers: Mapping[str, Any]) -> Family:
    presets = tuple(Config(Cells.name, {}, {"learner": (Config(learner, dict(n)),)}) for n in numbers)
    return Family(
        f"cells-{learner}", f"{words} on the plain cells alone", presets, beside, level=1, tags=("multimodal",)
    )


FAMILIES: tuple[Family, ...] = (
    _family("linear", "Linear models", {"penalty": 0.03}, {"penalty": 0.1, "expansion": "splines"}),
    _family(
        "trees", "Boosted trees",
        {"extra": True, "learning_rate": 0.1, "min_leaf": 3, "row_share": 1.0, "l2": 0.1},
        {"rounds": 300, "leaves": 8, "learning_rate": 0.1, "min_leaf": 3, "feature_share": 0.5, "row_share": 0.8, "l2": 3.0},
    ),
    _family("kernel-ridge", "Kernel ridge", {}, {"length": 0.8, "relevance": 0.0}),
)  # fmt: skip
