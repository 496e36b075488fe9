"""The same search on a Ray cluster: trials run in actors, the driver owns the run."""

from __future__ import annotations

from metalearner.hookspecs import hookimpl
from metalearner.kinds import Executor


@hookimpl
def register_executors() -> list[Executor]:
    """The executor "ray"."""
    from .executor import RayCluster

    return [RayCluster()]
