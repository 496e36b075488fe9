"""`metalearner open` and `follow`: other programs beside this one that look at runs. Nothing heavy is imported before one needs it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Program(StrEnum):
    """What can be opened."""

    OPTUNA, DATASETTE, TENSORBOARD = "optuna", "datasette", "tensorboard"


def open_beside(
    program: Annotated[Program, typer.Argument(help="The program.", show_default=False)],
    folder: Annotated[
        Path | None,
        typer.Argument(help="The folder of a run; without one datasette shows the knowledge base.", metavar="[RUN]"),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="The port; the program's usual one, or a free one, otherwise.")
    ] = None,
) -> None:
    """Look at a run with Optuna's dashboard, Datasette or TensorBoard, on this machine alone; Ctrl-C ends it."""
    from . import plugins
    from .viewers import look

    look(program.value, folder, port, plugins.load())


def follow(
    folder: Annotated[Path, typer.Argument(help="The folder of a run.", metavar="RUN", show_default=False)],
    callback: Annotated[str, typer.Argument(help="Whom to tell: tensorboard, mlflow.", show_default=False)],
) -> None:
    """Tell a callback what has happened in a run, and what happens until it ends."""
    import os

    from . import plugins
    from .follow import follow as tell

    os.nice(10)  # the run comes first
    registry = plugins.load()
    tell(folder, registry.get("callbacks", callback), registry)
