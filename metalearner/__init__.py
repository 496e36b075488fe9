"""metalearner: labelled data and a sentence in; a measured, packaged, watched model out.

>>> import metalearner  # doctest: +SKIP
>>> run = metalearner.fit("clinic.csv", "which patients come back within 30 days?", budget="2m")  # doctest: +SKIP
>>> run.leaderboard(), run.bundle.predict("new.csv")  # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .deploy import Bundle
    from .result import Run

__all__ = ["fit", "open_bundle"]


def fit(source: Any, sentence: str = "", budget: str = "2m", **options: Any) -> Run:
    """Learn from labelled data; returns the run with `.leaderboard()`, `.scorecard` and `.bundle.predict(rows)`.

    `source` is a path, a DataFrame, or the name of a data set; `budget` a time or a number of trials. Options are those
    of the command line: target, metric, goal, group_by, max_size, max_latency, out, test, seed, cold, blind, searcher,
    families and narrow (tuples of what one would type). Raises UserError for what cannot be used.
    """
    from . import plugins
    from .request import Request, parse_budget
    from .run import run
    from .task import Wish

    wishes = ("target", "metric", "goal", "group_by", "max_size", "max_latency")
    wish = Wish(sentence, **{k: options.pop(k) for k in wishes if k in options})
    if "out" in options:
        options["out"] = Path(options["out"])
    return run(Request(source, wish, parse_budget(budget), **options), plugins.load())


def open_bundle(folder: str | Path) -> Bundle:
    """A packaged model, ready to predict."""
    from . import plugins
    from .deploy import Bundle

    return Bundle.open(Path(folder), plugins.load())
