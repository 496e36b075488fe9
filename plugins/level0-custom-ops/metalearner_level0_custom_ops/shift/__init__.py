"""A second operation, as an example for one's own: a layer that shifts instead of multiplying. OWN_OPERATION.md walks through it.

A plugin in itself, not loaded unless it is named: `plugins.load(extra=[shift])`.
"""

from __future__ import annotations

from metalearner.hookspecs import hookimpl
from metalearner.kinds import Production

from .production import ShiftDense


@hookimpl
def register_productions() -> list[Production]:
    """One mixer."""
    return [ShiftDense()]
