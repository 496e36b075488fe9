"""Runs as TensorBoard shows them."""

from __future__ import annotations

from metalearner.hookspecs import hookimpl
from metalearner.kinds import Callback


@hookimpl
def register_callbacks() -> list[Callback]:
    """The callback "tensorboard"."""
    from .callback import TensorBoard

    return [TensorBoard()]
