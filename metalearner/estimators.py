"""The engine as estimators of scikit-learn, for pipelines, cross-validation and whatever else takes them."""

from __future__ import annotations

import tempfile
import threading
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import assert_all_finite, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from . import plugins
from .deploy import Bundle
from .errors import UserError
from .home import home
from .knowledge import Base
from .predictor import Predictor
from .request import Request, parse_budget
from .run import run
from .tables.cells import text
from .task import Wish

PARAMETERS = """
    Every row given is learnt from: no test is sealed, for whoever cross-validates holds rows back already. `run_.scorecard` says
    how good the model is on the rows held out of its own folds. The result of a budget in trials can be had again, one in seconds
    cannot. Rows have no weights: not every learner would heed them.

    Parameters
    ----------
    budget : a time or a number of trials: "90s", "2m", "40trials".
    sentence, metric, goal, families, cold : as on the command line.
    blind : forget what the knowledge base holds of the same data or nearly the same: for scores that are to be compared.
    executor : where trials run. "auto" is "inline" (this process, one trial after the other: nothing to bring up, no memory
        cap, and a crash takes the caller along) where the budget is a number of trials, else "local" (worker processes).
    workers : trials at once, where they run in processes of their own.
    learn : whether the runs go into the user's knowledge base. Not unless asked for: fits of a cross-validation would tell one
        another about the rows that they are tested on.
    random_state : as in scikit-learn.
    out : the folder of the run, which must be a new one. None: a temporary folder, gone with the estimator.

    Attributes
    ----------
    run_ : the run, with `leaderboard()`, `scorecard` and the rest. A copy or a pickle carries the model alone.
    bundle_ : the packaged model.
    n_features_in_, feature_names_in_ : as in scikit-learn.
    """


class _MetaEstimator(BaseEstimator):
    """A table and a target in, one run of the engine, a bundle that predicts."""

    _output: str  # what is predicted, as the engine calls it

    def __init__(  # noqa: PLR0913 - a parameter of an estimator is an argument
        self,
        budget: str = "2m",
        *,
        sentence: str = "",
        metric: str | None = None,
        goal: str | None = None,
        families: tuple[str, ...] = (),
        executor: str = "auto",
        workers: int = 2,
        cold: bool = False,
        blind: bool = False,
        learn: bool = False,
        random_state: Any = 0,
        out: str | Path | None = None,
    ) -> None:
        self.budget = budget
        self.sentence = sentence
        self.metric = metric
        self.goal = goal
        self.families = families
        self.executor = executor
        self.workers = workers
        self.cold = cold
        self.blind = blind
        self.learn = learn
        self.random_state = random_state
        self.out = out

    def __sklearn_tags__(self) -> Any:
        """Missing cells and words are taken; sparse matrices and several targets are not."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        tags.target_tags.required = True
        tags.non_deterministic = "trial" not in str(self.budget)
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        """Whether a run came to its end."""
        return hasattr(self, "_packed")

    def __getstate__(self) -> dict[str, Any]:
        """What a copy needs to predict; the run stays with whoever fitted."""
        return {name: value for name, value in super().__getstate__().items() if name != "run_"}

    @property
    def bundle_(self) -> Bundle:
        """The packaged model."""
        check_is_fitted(self)
        return self._packed.bundle

    def _fit(self, X: Any, target: Any) -> Self:
        """One run on a checked table and its target, a column of a DataFrame. Raises ValueError for what cannot be learnt from."""
        import torch

        table = self._table(X, reset=True)
        name = "target"
        while name in table.columns:
            name += "_"
        temporary = None if self.out else tempfile.TemporaryDirectory(prefix="metalearner-")
        folder = Path(temporary.name, "run") if temporary else Path(str(self.out))
        try:
            request = self._request(table.assign(**{name: target}), name, folder)
            with torch.random.fork_rng(devices=[]):  # the caller's random numbers are left alone
                self.run_ = run(request, plugins.load(), base=_base(home(), threading.get_ident()))
        except UserError as problem:
            raise ValueError(str(problem)) from problem
        self._packed = _Packed(folder / "bundle", temporary)
        return self

    def _request(self, table: pd.DataFrame, target: str, folder: Path) -> Request:
        budget = parse_budget(self.budget)
        executor = self.executor if self.executor != "auto" else "local" if budget.seconds else "inline"
        wish = Wish(self.sentence, target, self.metric, self.goal, output=self._output)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return Request(table, wish, budget, folder, "none", seed, self.cold, self.blind, executor, self.workers,
                       families=tuple(self.families), keep=("*",), learn=self.learn)  # fmt: skip

    def _table(self, X: Any, reset: bool) -> pd.DataFrame:
        """X as a DataFrame with the names that were there when it was fitted; columns of a DataFrame keep their kinds."""
        array = validate_data(
            self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=1 + reset
        )
        if isinstance(X, pd.DataFrame):
            assert_all_finite(X.select_dtypes("number"), allow_nan=True, input_name="X")
        table = X if isinstance(X, pd.DataFrame) else pd.DataFrame(array).infer_objects()
        names = getattr(self, "feature_names_in_", [f"x{i}" for i in range(table.shape[1])])
        return table.set_axis(list(names), axis=1).reset_index(drop=True)

    def _predicted(self, X: Any) -> tuple[Predictor, np.ndarray]:
        """The predictor and what it says of a table (n, k), in the Output's sense."""
        check_is_fitted(self)
        predictor = self.bundle_.predictor
        return predictor, predictor.predict(predictor.decode(self._table(X, reset=False)))


class MetaClassifier(ClassifierMixin, _MetaEstimator):
    """Classes, by a run of the engine: `classes_`, sorted, are the columns of `predict_proba`.

    Where `metric` is balanced accuracy, f1, recall or precision, or the data ask for it because a class is rare, `predict` does
    not always name the class that `predict_proba` finds likeliest: the decision serves the metric.
    """

    _output = "classification"

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from a table X (n, columns) and classes y (n,). Raises ValueError for what cannot be learnt from."""
        y = _target(self, X, y)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._names = _names(self.classes_)
        return self._fit(X, pd.Categorical(np.array(self._names)[codes]))

    def predict(self, X: Any) -> np.ndarray:
        """Classes (n,)."""
        predictor, said = self._predicted(X)
        place = {name: i for i, name in enumerate(self._names)}
        return self.classes_[[place[name] for name in predictor.output.table(predictor.state, said)["prediction"]]]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n, classes), columns in the order of `classes_`."""
        predictor, said = self._predicted(X)
        known = predictor.state["classes"]
        return said[:, [known.index(name) for name in self._names]]


class MetaRegressor(RegressorMixin, _MetaEstimator):
    """Numbers, by a run of the engine."""

    _output = "regression"

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from a table X (n, columns) and numbers y (n,). Raises ValueError for what cannot be learnt from."""
        y = np.asarray(_target(self, X, y), np.float64)
        assert_all_finite(y, input_name="y")
        return self._fit(X, y)

    def predict(self, X: Any) -> np.ndarray:
        """Numbers (n,)."""
        predictor, said = self._predicted(X)
        return predictor.output.table(predictor.state, said)["prediction"]


MetaClassifier.__doc__ = f"{MetaClassifier.__doc__}{PARAMETERS}"
MetaRegressor.__doc__ = f"{MetaRegressor.__doc__}\n{PARAMETERS}"


class _Packed:
    """A bundle that can be copied and pickled: what travels is its files, which are data and are checked when they are opened."""

    def __init__(self, folder: Path, temporary: tempfile.TemporaryDirectory[str] | None) -> None:
        self.folder, self.temporary = folder, temporary

    @cached_property
    def bundle(self) -> Bundle:
        return Bundle.open(self.folder, plugins.load())

    def __getstate__(self) -> dict[str, bytes]:
        files = (file for file in self.folder.rglob("*") if file.is_file())
        return {str(file.relative_to(self.folder)): file.read_bytes() for file in files}

    def __setstate__(self, files: dict[str, bytes]) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="metalearner-")
        self.__init__(Path(temporary.name) / "bundle", temporary)  # type: ignore[misc]
        for name, content in files.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def _target(estimator: BaseEstimator, X: Any, y: Any) -> np.ndarray:
    """The target (n,). Raises ValueError, in scikit-learn's words, where it is none or not as long as X."""
    if y is None:
        validate_data(estimator, X, None, skip_check_array=True)
    y = column_or_1d(y, warn=True)
    check_consistent_length(X, y)
    return y


def _names(classes: np.ndarray) -> list[str]:
    """What the engine calls each class: as it is written, unless two are written alike or one like a gap; then its place."""
    written = text(classes.tolist()).tolist()
    clear = "" not in written and len(set(written)) == len(written)
    return written if clear else [str(i) for i in range(len(written))]


@lru_cache(maxsize=4)
def _base(folder: Path, thread: int) -> Base:
    """The knowledge base, opened once a thread: a search over parameters fits many times."""
    return Base.open(folder, productions=plugins.load().productions)
