"""Tables: files of rows and columns, DataFrames, and lists of JSON rows."""

from __future__ import annotations

from metalearner.hookspecs import hookimpl
from metalearner.kinds import Modality, Transform


@hookimpl
def register_modalities() -> list[Modality]:
    """The modality "tabular"."""
    from .modality import TabularModality

    return [TabularModality()]


@hookimpl
def register_transforms() -> list[Transform]:
    """The transform "table-scaling"."""
    from .scaling import TableScaling

    return [TableScaling()]
