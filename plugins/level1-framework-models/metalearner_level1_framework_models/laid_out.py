"""Tables that are pictures, for learners of pictures: columns are laid out, and another learner goes on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from metalearner import grammar
from metalearner.arrays import Fold, Tensor, Tensors
from metalearner.foldwise import FoldByFold
from metalearner.grammar.layout import laid_out, layout, resemblance
from metalearner.kinds import Aim, Choice, Learner, Model, Output, Production, Range, Rung, Slot
from metalearner.records import Config, View, plain

from .grammar.tokenisers import Reshape, Seriate

# Training rows by which columns are found to resemble each other.
SEEN = 4096


class LaidOut(Production):
    """Learner -> Learner: it learns from the columns of a table as a picture."""

    name = "laid-out"
    symbol = "learner"
    parts = {"learner": Slot("learner")}
    tags = ("convolution",)

    def space(self) -> Mapping[str, Range]:
        """`row` is how many columns make a row; `recovered` lays them out by how they resemble each other instead."""
        return {"row": Reshape().space()["row"], "recovered": Choice((False, True))}

    def accepts(self, view: View) -> bool:
        """Tables of enough numbers, and nothing else."""
        return Reshape().accepts(view) and not view.cardinalities


def pictured(views: Mapping[str, View]) -> bool:
    """Whether there is one table, and it can be laid out."""
    return [LaidOut().accepts(view) for view in views.values()] == [True]


@dataclass(frozen=True)
class Picture:
    """What becomes of a table: its name among the views, the cell of each column, the view of the picture."""

    name: str
    cells: np.ndarray  # (columns,)
    view: View

    def tensors(self, tensors: Tensors) -> Tensors:
        """The picture of each row; what is missing stays so."""
        return {self.name: Tensor(laid_out(tensors[self.name].values, self.cells, self.view.axes[1].size))}


@dataclass(frozen=True)
class LaidOutModel(Model):
    """A layout, and the model that learnt from it."""

    picture: Picture
    learner: str
    inner: Model

    def predict(self, tensors: Tensors) -> np.ndarray:
        """As the inner model says of the pictures."""
        return self.inner.predict(self.picture.tensors(tensors))

    def save(self, folder: Path) -> None:
        """`laid-out.json`, and the inner model in a folder of its own."""
        about = {"name": self.picture.name, "cells": self.picture.cells, "view": self.picture.view}
        (folder / "laid-out.json").write_text(json.dumps(plain(about | {"learner": self.learner})))
        (folder / "inner").mkdir()
        self.inner.save(folder / "inner")


class LaidOutLearner(FoldByFold):
    """Lays columns out by the training rows of each fold, then fits the learner that the config holds."""

    name = LaidOut.name
    production = LaidOut()

    def accepts(self, views: Mapping[str, View], output: Output) -> bool:
        """One table, for classes and numbers."""
        return pictured(views) and output.name in ("classification", "regression")

    def fit_one(
        self, config: Config, fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[LaidOutModel, dict[str, Any]]:
        """There is nothing to resume."""
        productions = aim.registry.productions
        numbers = grammar.numbers(Config(config.production, config.numbers), productions)
        ((name, view),) = fold.views.items()
        picture = _picture(name, view, fold.train[name].values, numbers)
        inside = replace(fold, views={name: picture.view}, train=picture.tensors(fold.train),
                         valid=picture.tensors(fold.valid), state={})  # fmt: skip
        (inner,) = config.parts["learner"]
        learner: Learner = aim.registry.get("learners", inner.production)
        fitted = next(iter(learner.fit([inner], [inside], aim, upto, [None])))
        return LaidOutModel(picture, inner.production, fitted.models[0]), dict(fitted.facts)

    def load(self, folder: Path, aim: Aim) -> LaidOutModel:
        """Read back what `LaidOutModel.save` wrote."""
        about = json.loads((folder / "laid-out.json").read_text())
        picture = Picture(about["name"], np.array(about["cells"]), View.from_json(about["view"]))
        learner: Learner = aim.registry.get("learners", about["learner"])
        return LaidOutModel(picture, about["learner"], learner.load(folder / "inner", aim))


def _picture(name: str, view: View, values: np.ndarray, numbers: Mapping[str, Any]) -> Picture:
    """Columns in their order, or where those of training rows (n, columns, c) put them."""
    if numbers["recovered"]:
        cells = layout(resemblance(values[:SEEN, :, 0]))
        return Picture(name, cells, Seriate().picture({}, view))
    return Picture(name, np.arange(view.axes[0].size), Reshape().picture(numbers, view))
