"""Gradient-boosted trees by LightGBM, saved as LightGBM's own text."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metalearner.arrays import Fold, Tensors
from metalearner.kinds import Aim, Choice, Float, Int, Model, Output, Production, Range, Rung
from metalearner.records import Config, View

from . import flat
from .foldwise import FoldwiseLearner, known_rows, to_all_classes

if TYPE_CHECKING:
    import lightgbm

WATCHED = 0.15  # share of the training rows that early stopping watches
WHOLE = 0.6  # share of the rows that must have been learnt from before all of them are
MOST_WHOLE = 20_000  # rows; with more, those that were watched are hardly missed
WIDE = 400  # columns from which on bins are coarse
MATTERS = 0.002  # an improvement by this share of the loss restarts patience
CELLS = 6e7  # numbers in the training matrix; rows are drawn by chance beyond
CELLS_PER_SECOND = 3e6  # binning and a first round, a cautious guess for when little time is left


class Trees(Production):
    """Boosted trees: how many, how large, how fast they learn and what they see."""

    name = "trees"
    symbol = "learner"
    tags = ("trees", "tabular")

    def space(self) -> Mapping[str, Range]:
        """Rounds is a ceiling: a slice of the training rows says when to stop."""
        return {
            "rounds": Int(20, 2000, 500, log=True),
            "leaves": Int(4, 128, 31, log=True),
            "learning_rate": Float(0.01, 0.3, 0.06, log=True),
            "min_leaf": Int(1, 100, 10, log=True),
            "feature_share": Float(0.2, 1.0, 0.8),
            "row_share": Float(0.4, 1.0, 0.9),
            "l2": Float(1e-3, 100.0, 1.0, log=True),
            "extra": Choice((False, True)),
        }


@dataclass(frozen=True)
class TreesModel(Model):
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
        matrix = _matrix(tensors, self.views)
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
        """`trees.txt` and `trees.json`."""
        (folder / "trees.txt").write_text(self.text)
        about: dict[str, Any] = {"views": {k: v.to_json() for k, v in self.views.items()}, "present": self.present}
        about |= {"classes": self.classes, "stopped": self.stopped, "whole": self.whole}
        (folder / "trees.json").write_text(json.dumps(about))

    @classmethod
    def open(cls, folder: Path) -> TreesModel:
        """Read what `save` wrote."""
        about = json.loads((folder / "trees.json").read_text())
        views = {k: View.from_json(v) for k, v in about["views"].items()}
        text = (folder / "trees.txt").read_text()
        return cls(views, text, tuple(about["present"]), about["classes"], about["stopped"], about.get("whole", False))


class TreesLearner(FoldwiseLearner):
    """LightGBM: a slice of the training rows says when to stop, then all of them are learnt from; with a deadline."""

    name = "trees"
    production = Trees()
    libraries = ("lightgbm",)

    def accepts(self, views: Mapping[str, View], output: Output) -> bool:
        """Any views that hold something."""
        return super().accepts(views, output) and bool(flat.width(views) or flat.cardinalities(views))

    def fit_fold(
        self, numbers: Mapping[str, Any], fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[TreesModel, dict[str, Any]]:
        """One booster; with `resume` it grows on from the earlier one, unless patience had ended that."""
        classifies = aim.output.name == "classification"
        rows, target = known_rows(fold, aim)
        present = np.unique(target) if classifies else np.zeros(0, np.int64)
        classes = aim.output.width(aim.state) if classifies else 0
        about = (fold.views, tuple(int(c) for c in present), classes)
        if classifies and len(present) == 1:
            return TreesModel(about[0], "", *about[1:], "patience"), _facts("", "patience", 1) | {"watched": False}
        earlier = TreesModel.open(resume) if resume is not None else None
        if earlier is not None and (earlier.whole or earlier.stopped == "patience"):
            return earlier, _facts(earlier.text, earlier.stopped, len(present)) | {"watched": not earlier.whole}
        label = np.searchsorted(present, target) if classifies else target
        case = Case(fold, rows, label, len(present), upto)
        grown = _grow(numbers, case, aim.output.strata(target), earlier)
        whole = _whole(numbers, case, grown)
        text = grown.text if whole is None else whole
        model = TreesModel(about[0], text, *about[1:], grown.stopped, whole is not None)
        return model, _facts(text, grown.stopped, len(present)) | {"watched": whole is None}

    def partial(self, config: Config) -> bool:
        """The first rounds say much about all of them, and grow on."""
        return True

    def load(self, folder: Path, aim: Aim) -> TreesModel:
        """Read back what `save` wrote."""
        return TreesModel.open(folder)


@dataclass(frozen=True)
class Case:
    """What one fold asks: the positions of its known rows, their labels, how many classes (0 for a number), how far."""

    fold: Fold
    rows: np.ndarray
    label: np.ndarray
    classes: int
    upto: Rung

    def seed(self, done: int) -> int:
        """Another draw of rows and columns for every fold, and for rounds that come later."""
        return self.upto.seed + 7919 * self.fold.index + done


@dataclass(frozen=True)
class Grown:
    """Trees that a slice was watched for: their text, rounds, what ended them, how long a round took, all rows or not."""

    text: str
    rounds: int
    stopped: str
    round_seconds: float
    learnt: int  # rows


def _grow(numbers: Mapping[str, Any], case: Case, strata: np.ndarray, earlier: TreesModel | None) -> Grown:
    """Rounds up to the rung, on all rows but a slice that is watched; with `earlier` they come after its own."""
    import lightgbm

    upto = case.upto
    kept, watched = _watch_split(strata, np.random.default_rng([upto.seed, case.fold.index]))
    kept = _affordable(kept, case.fold.views, upto)
    watched = watched[: max(4, len(kept))]
    parameters = _parameters(numbers, case.fold, case.classes, len(kept), upto)
    begun = None if earlier is None else earlier.booster
    done = 0 if begun is None else begun.current_iteration()
    guard = Guard(upto.deadline, patience=int(np.clip(5 / numbers["learning_rate"], 30, 200)))
    train, watch = _datasets(case, (kept, watched), parameters)
    began = time.monotonic()
    booster = lightgbm.train(
        parameters | {"seed": case.seed(done)},
        train,
        num_boost_round=max(1, round(numbers["rounds"] * upto.share) - done),
        valid_sets=[watch],
        init_model=begun,
        callbacks=[guard],
    )
    took = (time.monotonic() - began) / max(1, booster.current_iteration() - done)
    rounds = guard.best_round + 1
    return Grown(booster.model_to_string(num_iteration=rounds), rounds, guard.stopped, took, len(kept))


def _whole(numbers: Mapping[str, Any], case: Case, grown: Grown) -> str | None:
    """The same again on all rows, a little longer as there are more; None where it is too early or too late for that."""
    import lightgbm

    upto, rows = case.upto, len(case.rows)
    ended = grown.stopped == "patience" or (grown.stopped == "rounds" and upto.share >= 1)
    if not ended or not WHOLE * rows <= grown.learnt < rows <= MOST_WHOLE:
        return None
    rounds = round(grown.rounds * rows / grown.learnt)
    if time.monotonic() + 1.5 * rounds * grown.round_seconds * rows / grown.learnt > upto.deadline:
        return None
    parameters = _parameters(numbers, case.fold, case.classes, rows, upto) | {"seed": case.seed(0)}
    everything, nothing = np.arange(rows), np.zeros(0, np.int64)
    train, _ = _datasets(case, (everything, nothing), parameters)
    clock = Guard(upto.deadline, patience=rounds)
    booster = lightgbm.train(parameters, train, num_boost_round=rounds, callbacks=[clock])
    return None if clock.stopped == "deadline" else booster.model_to_string()


class Guard:
    """LightGBM callback: remembers the best round, and stops when little improves or the next round would be late."""

    order = 30  # after evaluation

    def __init__(self, deadline: float, patience: int) -> None:
        self.deadline, self.patience, self.stopped = deadline, patience, "rounds"
        self.best, self.best_round = np.inf, 0
        self.mark, self.mark_round = np.inf, 0  # the last loss that was clearly better than the ones before
        self.last: float | None = None

    def __call__(self, environment: Any) -> None:
        """`environment` is LightGBM's CallbackEnv; its losses shrink as models get better."""
        from lightgbm.callback import EarlyStopException

        watched = environment.evaluation_result_list
        done, loss, now = environment.iteration, float(watched[0][2]) if watched else 0.0, time.monotonic()
        if loss < self.best:
            self.best, self.best_round = loss, done
        if loss < self.mark * (1 - MATTERS):
            self.mark, self.mark_round = loss, done
        a_round = 0.0 if self.last is None else now - self.last
        self.last = now
        if now + a_round > self.deadline:
            self.stopped = "deadline"
        elif done - self.mark_round >= self.patience:
            self.stopped = "patience"
        else:
            return
        raise EarlyStopException(self.best_round, watched)


def _parameters(numbers: Mapping[str, Any], fold: Fold, classes: int, rows: int, upto: Rung) -> dict[str, Any]:
    """The config in LightGBM's words; leaves and categories held in proportion to the rows."""
    wide = flat.width(fold.views) > WIDE
    objective: dict[str, Any] = {"objective": "regression", "metric": "l2"}
    if classes == 2:
        objective = {"objective": "binary", "metric": "binary_logloss"}
    elif classes > 2:
        objective = {"objective": "multiclass", "metric": "multi_logloss", "num_class": classes}
    return objective | {
        "num_leaves": numbers["leaves"],
        "learning_rate": numbers["learning_rate"],
        "min_data_in_leaf": max(1, min(numbers["min_leaf"], rows // 10)),
        "feature_fraction": numbers["feature_share"],
        "bagging_fraction": numbers["row_share"],
        "bagging_freq": int(numbers["row_share"] < 1),
        "lambda_l2": numbers["l2"],
        "extra_trees": numbers["extra"],
        "min_data_per_group": int(np.clip(rows // 50, 2, 100)),
        "max_bin": 63 if wide else 255,
        "enable_bundle": not wide,  # looking for columns that exclude each other takes longer than it saves
        "min_data_in_bin": 3 if rows >= 200 else 1,
        "feature_pre_filter": False,
        "num_threads": upto.threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def _datasets(
    case: Case, split: tuple[np.ndarray, np.ndarray], parameters: Mapping[str, Any]
) -> tuple[lightgbm.Dataset, lightgbm.Dataset]:
    """What is learnt from and what is watched, as LightGBM's data sets."""
    import lightgbm

    matrix, (kept, watched) = _matrix(case.fold.train, case.fold.views), split
    first = flat.width(case.fold.views)
    about: dict[str, Any] = {"categorical_feature": list(range(first, matrix.shape[1])), "params": dict(parameters)}
    train = lightgbm.Dataset(matrix[case.rows[kept]], case.label[kept], **about)
    return train, lightgbm.Dataset(matrix[case.rows[watched]], case.label[watched], reference=train, **about)


def _matrix(tensors: Tensors, views: Mapping[str, View]) -> np.ndarray:
    """Numbers, then codes with 0 (missing or never seen) as NaN: float32 (n, p + q)."""
    numeric, codes = flat.numeric(tensors, views), flat.codes(tensors, views)
    return np.concatenate([numeric, np.where(codes > 0, codes, np.nan).astype(np.float32)], axis=1)


def _watch_split(strata: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Positions to learn from and to watch, stratum by stratum; every stratum keeps a row to learn from."""
    watched: list[np.ndarray] = []
    for stratum in np.unique(strata):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        watched.append(members[: min(round(WATCHED * len(members)), len(members) - 1)])
    slice_ = np.sort(np.concatenate(watched))
    if not len(slice_):  # every class once: watch what is learnt, the ceiling of rounds stops it
        return np.arange(len(strata)), np.arange(len(strata))
    return np.setdiff1d(np.arange(len(strata)), slice_), slice_


def _affordable(kept: np.ndarray, views: Mapping[str, View], upto: Rung) -> np.ndarray:
    """As many of these rows as memory and the time left allow, by chance."""
    columns = max(1, flat.width(views) + len(flat.cardinalities(views)))
    seconds = max(0.0, upto.deadline - time.monotonic())
    most = max(200, int(min(CELLS, seconds * CELLS_PER_SECOND) / columns))
    if len(kept) <= most:
        return kept
    return np.sort(np.random.default_rng(upto.seed).permutation(kept)[:most])


def _facts(text: str, stopped: str, scores: int) -> dict[str, Any]:
    """Numbers stored (a value a leaf, a feature and a threshold a split), rounds, and what ended them."""
    leaves = [int(found) for found in re.findall(r"^num_leaves=(\d+)", text, re.MULTILINE)]
    rounds = len(leaves) // (scores if scores > 2 else 1)
    parameters = sum(3 * count - 2 for count in leaves)
    return {"parameters": parameters, "rounds": rounds, "stopped_early": stopped != "rounds", "stopped": stopped}
