"""metalearner: labelled data and a sentence in; a measured, packaged, watched model out.

>>> import metalearner  # doctest: +SKIP
>>> run = metalearner.fit("clinic.csv", "which patients come back within 30 days?", budget="2m")  # doctest: +SKIP
>>> run.leaderboard(), run.bundle.predict("new.csv")  # doctest: +SKIP
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .deploy import Bundle
    from .estimators import MetaClassifier, MetaRegressor
    from .look import Look
    from .request import Request
    from .result import Run

# Threads of torch that wait for each other sleep: where others use the cores, too, spinning ones made small layers up to fifty
# times slower. It is read when torch is imported, and is the caller's own choice where there is one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__ = ["MetaClassifier", "MetaRegressor", "fit", "forecast", "open_bundle"]


def __getattr__(name: str) -> Any:
    """The estimators, once they are asked for: scikit-learn and pandas take seconds to import."""
    if name in ("MetaClassifier", "MetaRegressor"):
        from . import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def fit(source: Any, sentence: str = "", budget: str = "2m", **options: Any) -> Run:
    """Learn from labelled data; returns the run with `.leaderboard()`, `.scorecard` and `.bundle.predict(rows)`.

    `source` is a path, a DataFrame, or the name of a data set; `budget` a time or a number of trials. Options are those
    of the command line: target, metric, goal, group_by, max_size, max_latency, out, test, seed, cold, blind, families,
    searcher, executor, workers; callbacks, keep and narrow, tuples of what one would type; `output` ("classification" or
    "regression", where the data might be taken for either) and `learn` (False: the run does not go into the knowledge
    base). Raises UserError for what cannot be used.
    """
    from . import plugins
    from .run import run

    return run(_request(source, sentence, budget, options), plugins.load())


def forecast(source: Any, sentence: str = "", budget: str = "2m", **options: Any) -> Look:
    """What would be tried first, why, and how well it should go, after seconds and without training anything.

    Arguments as for `fit`; what speaks of the run alone changes nothing. Raises UserError for what cannot be used.
    """
    from . import plugins
    from .look import look

    return look(_request(source, sentence, budget, options), plugins.load())


def open_bundle(folder: str | Path) -> Bundle:
    """A packaged model, ready to predict."""
    from . import plugins
    from .deploy import Bundle

    return Bundle.open(Path(folder), plugins.load())


def _request(source: Any, sentence: str, budget: str, options: dict[str, Any]) -> Request:
    from .request import Request, parse_budget
    from .task import Wish

    wishes = ("target", "metric", "goal", "group_by", "max_size", "max_latency", "output")
    wish = Wish(sentence, **{k: options.pop(k) for k in wishes if k in options})
    if "out" in options:
        options["out"] = Path(options["out"])
    return Request(source, wish, parse_budget(budget), **options)
