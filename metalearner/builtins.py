"""What the core itself brings, through the same door as every plugin."""

from __future__ import annotations

from .hookspecs import hookimpl
from .kinds import Executor, Learner, Loss, Metric, Optimiser, Output, Probe, Production, Searcher


@hookimpl
def register_outputs() -> list[Output]:
    """Classes and numbers."""
    from .outputs import OUTPUTS

    return list(OUTPUTS)


@hookimpl
def register_metrics() -> list[Metric]:
    """The usual scores of both."""
    from .outputs import METRICS

    return list(METRICS)


@hookimpl
def register_losses() -> list[Loss]:
    """Cross-entropy and its kin, squared, Huber."""
    from .train.losses import LOSSES

    return list(LOSSES)


@hookimpl
def register_optimisers() -> list[Optimiser]:
    """AdamW and SGD."""
    from .train.optimisers import OPTIMISERS

    return list(OPTIMISERS)


@hookimpl
def register_productions() -> list[Production]:
    """The root of networks and the recipe of the training loop."""
    from .train.productions import PRODUCTIONS

    return list(PRODUCTIONS)


@hookimpl
def register_learners() -> list[Learner]:
    """Networks."""
    from .train.net import NetLearner

    return [NetLearner()]


@hookimpl
def register_probes() -> list[Probe]:
    """The measurements of a description."""
    from .describe import BUILTIN_PROBES

    return list(BUILTIN_PROBES)


@hookimpl
def register_searchers() -> list[Searcher]:
    """The portfolio of past runs, then draws by the odds."""
    from .search.priors import Priors

    return [Priors()]


@hookimpl
def register_executors() -> list[Executor]:
    """Worker processes on this machine, and none: the process itself."""
    from .search.inline import InProcess
    from .search.local import LocalProcesses

    return [LocalProcesses(), InProcess()]
