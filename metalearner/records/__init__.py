"""The frozen records that travel between stages. Canonical JSON; their SHA-256 is their identity."""

from __future__ import annotations

from .data import (
    AXIS_KINDS,
    COLUMN_KINDS,
    LEFT_OUT,
    Axis,
    Column,
    DatasetCard,
    Description,
    Finding,
    Limits,
    Schema,
    Sketch,
    Task,
    View,
)
from .record import Record, canonical, digest, plain
from .trials import (
    FULL,
    OUTCOMES,
    Config,
    Experience,
    Forecast,
    Neighbour,
    Proposal,
    Recall,
    Scorecard,
    Trial,
    best_of_each,
)

__all__ = [
    "AXIS_KINDS",
    "COLUMN_KINDS",
    "FULL",
    "LEFT_OUT",
    "OUTCOMES",
    "Axis",
    "Column",
    "Config",
    "DatasetCard",
    "Description",
    "Experience",
    "Finding",
    "Forecast",
    "Limits",
    "Neighbour",
    "Proposal",
    "Recall",
    "Record",
    "Schema",
    "Scorecard",
    "Sketch",
    "Task",
    "Trial",
    "View",
    "best_of_each",
    "canonical",
    "digest",
    "plain",
]
