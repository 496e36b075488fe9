"""What LightGBM's models share: their form on disk, their data, when the time is up."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metalearner.arrays import Fold, Tensors
from metalearner.foldwise import FoldwiseLearner, known_rows, to_all_classes
from metalearner.kinds import Aim, Model, Output, Rung
from metalearner.records import View

from . import flat

if TYPE_CHECKING:
    import lightgbm

WIDE = 400  # columns from which on bins are coarse
CELLS = 6e7  # numbers in the training matrix; rows are drawn by chance beyond
CELLS_PER_SECOND = 3e6  # binning and a first round, a cautious guess for when little time is left
# What comes after growing: writing the text, as a share of the time that growing took; reading it back, in seconds a tree;
# predicting the rows held out, in seconds for each row and tree.
WRITING, READING, ASKING = 0.12, 1.2e-4, 7e-8
TEXT = "trees.txt.gz"
# What LightGBM writes of each tree and needs neither to predict nor to grow on: half of the text.
IDLE = ("split_gain", "leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count")


@dataclass(frozen=True)
class Booster(Model):
    """A booster as text; classes it never saw have probability 0."""

    views: Mapping[str, View]
    text: str  # of LightGBM, empty when only one class was there to learn
    present: tuple[int, ...]  # class of each score; empty for a number
    classes: int  # 0 for a number
    stopped: str  # "rounds", "patience" or "deadline"
    whole: bool = False  # grown anew on all training rows, the watched ones too, when the rounds were known

    def __post_init__(self) -> None:
        """Parse the text once."""
        import lightgbm

        # a frozen dataclass has no other way to keep what it derives from its fields
        object.__setattr__(self, "_booster", lightgbm.Booster(model_str=self.text) if self.text else None)

    @property
    def booster(self) -> lightgbm.Booster | None:
        """The booster read from the text."""
        return self._booster  # type: ignore[attr-defined]

    def predict(self, tensors: Tensors) -> np.ndarray:
        """Probabilities (n, classes) or the number (n, 1)."""
        matrix = matrix_of(tensors, self.views)
        if self.booster is None:
            found = np.ones((len(matrix), 1))
        elif not len(matrix):
            found = np.zeros((0, max(1, len(self.present))))
        else:
            found = np.asarray(self.booster.predict(matrix, num_threads=1), np.float64)
        if not self.classes:
            return found.reshape(-1, 1)
        if found.ndim == 1:  # of two classes LightGBM gives the second one's
            found = np.stack([1 - found, found], axis=1)
        return to_all_classes(found, np.array(self.present), self.classes)

    def save(self, folder: Path) -> None:
        """`trees.txt.gz` and `trees.json`."""
        (folder / TEXT).write_bytes(gzip.compress(self.text.encode(), mtime=0))
        about: dict[str, Any] = {"views": {k: v.to_json() for k, v in self.views.items()}, "present": self.present}
        about |= {"classes": self.classes, "stopped": self.stopped, "whole": self.whole}
        (folder / "trees.json").write_text(json.dumps(about))

    @classmethod
    def open(cls, folder: Path) -> Booster:
        """Read what `save` wrote."""
        about = json.loads((folder / "trees.json").read_text())
        views = {k: View.from_json(v) for k, v in about["views"].items()}
        packed = folder / TEXT
        # Before 0.2 it was not compressed.
        text = gzip.decompress(packed.read_bytes()).decode() if packed.exists() else packed.with_suffix("").read_text()
        return cls(views, text, tuple(about["present"]), about["classes"], about["stopped"], about.get("whole", False))


class BoosterLearner(FoldwiseLearner):
    """What learners of such models share."""

    libraries = ("lightgbm",)

    def accepts(self, views: Mapping[str, View], output: Output) -> bool:
        """Any views that hold something."""
        return super().accepts(views, output) and bool(flat.width(views) or flat.cardinalities(views))

    def load(self, folder: Path, aim: Aim) -> Booster:
        """Read back what `save` wrote."""
        return Booster.open(folder)


@dataclass(frozen=True)
class Case:
    """What one fold asks: the positions of its known rows, their target, the classes among them, and how far to go."""

    fold: Fold
    rows: np.ndarray
    target: np.ndarray  # as the output encodes it
    label: np.ndarray  # as LightGBM wants it: classes counted from 0
    present: tuple[int, ...]  # classes there are; empty for a number
    classes: int  # classes there could be; 0 for a number
    upto: Rung

    @classmethod
    def of(cls, fold: Fold, aim: Aim, upto: Rung) -> Case:
        """The case of a fold."""
        rows, target = known_rows(fold, aim)
        if aim.output.name != "classification":
            return cls(fold, rows, target, target, (), 0, upto)
        present, label = np.unique(target, return_inverse=True)
        return cls(fold, rows, target, label, tuple(int(c) for c in present), aim.output.width(aim.state), upto)

    @property
    def trivial(self) -> bool:
        """Whether there is only one class."""
        return len(self.present) == 1

    def seed(self, done: int) -> int:
        """Another draw of rows and columns for every fold, and for rounds that come later."""
        return self.upto.seed + 7919 * self.fold.index + done

    def model(self, text: str, stopped: str, whole: bool = False) -> Booster:
        """What was grown, as a model."""
        return Booster(self.fold.views, text, self.present, self.classes, stopped, whole)


class Clock:
    """LightGBM callback: stops when the next round, and what comes after the last one, would be late."""

    order = 30  # after evaluation

    def __init__(self, case: Case) -> None:
        self.deadline, self.stopped = case.upto.deadline, "rounds"
        trees = len(case.present) if len(case.present) > 2 else 1  # a round
        self.asking = (READING + ASKING * len(case.fold.valid_target)) * trees
        self.began = self.last = time.monotonic()

    def __call__(self, environment: Any) -> None:
        """`environment` is LightGBM's CallbackEnv."""
        from lightgbm.callback import EarlyStopException

        if self.late(environment.iteration + 1):
            self.stopped = "deadline"
            raise EarlyStopException(environment.iteration, environment.evaluation_result_list)

    def late(self, rounds: int) -> bool:
        """Whether another round like the last one is too much after so many."""
        now = time.monotonic()
        a_round, self.last = now - self.last, now
        return now + a_round + WRITING * (now - self.began) + self.asking * rounds > self.deadline


def parameters(case: Case, rows: int) -> dict[str, Any]:
    """What every booster is told, whatever its config: the objective by the target, categories in proportion to the rows."""
    wide, scores = flat.width(case.fold.views) > WIDE, len(case.present)
    objective: dict[str, Any] = {"objective": "regression", "metric": "l2"}
    if scores == 2:
        objective = {"objective": "binary", "metric": "binary_logloss"}
    elif scores > 2:
        objective = {"objective": "multiclass", "metric": "multi_logloss", "num_class": scores}
    return objective | {
        "min_data_per_group": int(np.clip(rows // 50, 2, 100)),
        "max_bin": 63 if wide else 255,
        "enable_bundle": not wide,  # looking for columns that exclude each other takes longer than it saves
        "min_data_in_bin": 3 if rows >= 200 else 1,
        "feature_pre_filter": False,
        "num_threads": case.upto.threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def datasets(case: Case, parts: Sequence[np.ndarray], parameters: Mapping[str, Any]) -> list[lightgbm.Dataset]:
    """The case's rows at these positions as LightGBM's data sets, all in the bins of the first."""
    import lightgbm

    matrix = matrix_of(case.fold.train, case.fold.views)
    about: dict[str, Any] = {
        "categorical_feature": list(range(flat.width(case.fold.views), matrix.shape[1])),
        "params": dict(parameters),
    }
    found: list[lightgbm.Dataset] = []
    for at in parts:
        reference = found[0] if found else None
        found.append(lightgbm.Dataset(matrix[case.rows[at]], case.label[at], reference=reference, **about))
    return found


def matrix_of(tensors: Tensors, views: Mapping[str, View]) -> np.ndarray:
    """Numbers, then codes with 0 (missing or never seen) as NaN: float32 (n, p + q)."""
    numeric, codes = flat.numeric(tensors, views), flat.codes(tensors, views)
    return np.concatenate([numeric, np.where(codes > 0, codes, np.nan).astype(np.float32)], axis=1)


def affordable(kept: np.ndarray, case: Case) -> np.ndarray:
    """As many of these rows as memory and the time left allow, by chance."""
    columns = max(1, flat.width(case.fold.views) + len(flat.cardinalities(case.fold.views)))
    seconds = max(0.0, case.upto.deadline - time.monotonic())
    most = max(200, int(min(CELLS, seconds * CELLS_PER_SECOND) / columns))
    if len(kept) <= most:
        return kept
    return np.sort(np.random.default_rng(case.upto.seed).permutation(kept)[:most])


def text_of(booster: lightgbm.Booster, rounds: int | None = None) -> str:
    """A booster's text as far as predicting needs it: without sizes of trees, statistics, importances and parameters."""
    trees, end, _ = booster.model_to_string(num_iteration=rounds).partition("end of trees\n")
    return re.sub(rf"^(?:tree_sizes|{'|'.join(IDLE)})=.*\n", "", trees, flags=re.MULTILINE) + end


def facts_of(text: str, stopped: str, scores: int) -> dict[str, Any]:
    """Numbers stored (a value a leaf, a feature and a threshold a split), rounds, and what ended them."""
    leaves = [int(found) for found in re.findall(r"^num_leaves=(\d+)", text, re.MULTILINE)]
    rounds = len(leaves) // (scores if scores > 2 else 1)
    parameters = sum(3 * count - 2 for count in leaves)
    return {"parameters": parameters, "rounds": rounds, "stopped_early": stopped != "rounds", "stopped": stopped}
