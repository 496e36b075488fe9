"""Level 3: architectures and hyperparameters searched for, by evolution, by Bayes, by chance, over a grid."""

from __future__ import annotations

from metalearner.hookspecs import hookimpl
from metalearner.kinds import Searcher


@hookimpl
def register_searchers() -> list[Searcher]:
    """Evolution, which is the default of a run, and the plain searchers it is measured against."""
    from .bayes import Tpe
    from .chance import Random
    from .evolution import Evolution
    from .grid import Grid

    return [Evolution(), Tpe(), Random(), Grid()]
