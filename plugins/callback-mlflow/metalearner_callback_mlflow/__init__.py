"""Runs as MLflow keeps them."""

from __future__ import annotations

from metalearner.hookspecs import hookimpl
from metalearner.kinds import Callback


@hookimpl
def register_callbacks() -> list[Callback]:
    """The callback "mlflow"."""
    from .callback import MLflow

    return [MLflow()]
