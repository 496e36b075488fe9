"""Signals: series, recordings and any numeric array of a sensor nobody has named."""

from __future__ import annotations

from metalearner.hookspecs import hookimpl
from metalearner.kinds import Modality, Transform


@hookimpl
def register_modalities() -> list[Modality]:
    """The modality "signal"."""
    from .modality import SignalModality

    return [SignalModality()]


@hookimpl
def register_transforms() -> list[Transform]:
    """The transform "signal-scaling"."""
    from .scaling import SignalScaling

    return [SignalScaling()]
