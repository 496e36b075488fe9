"""Which programs there are, and how each is started: on this machine alone."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..errors import UserError
from ..plugins import Registry
from ..report.account import Account
from . import boards, study, tables

HOST = "127.0.0.1"
# By itself it would wait, once interrupted, for every browser that still holds a connection.
DASHBOARD = (
    "import os, signal, sys, optuna_dashboard as d, optuna.storages.journal as j;"
    "signal.signal(signal.SIGINT, lambda *_: os._exit(0));"
    "d.run_server(j.JournalStorage(j.JournalFileBackend(sys.argv[1])), host=sys.argv[2], port=int(sys.argv[3]))"
)


@dataclass(frozen=True)
class Viewer:
    """A program, what it reads, and how it is started."""

    module: str  # that must be there
    install: str
    port: int  # its usual one
    make: Callable[[Account, Registry], Path]  # what it reads, made of a run
    words: Callable[[Path, int], list[str]]  # its command line, after python


VIEWERS = {
    "optuna": Viewer(
        "optuna_dashboard", "pip install 'metalearner[open]'", 8080, study.write,
        lambda file, port: ["-c", DASHBOARD, str(file), HOST, str(port)],
    ),
    "datasette": Viewer(
        "datasette", "pip install 'metalearner[open]'", 8001, tables.write,
        lambda file, port: ["-m", "datasette", "serve", "--immutable", str(file), "--host", HOST, "--port", str(port)],
    ),
    "tensorboard": Viewer(
        "tensorboard", "pip install metalearner-callback-tensorboard", 6006, boards.write,
        lambda folder, port: ["-m", "tensorboard.main", "--logdir", str(folder), "--host", HOST, "--port", str(port)],
    ),
}  # fmt: skip


def look(name: str, folder: Path | None, port: int | None, registry: Registry) -> NoReturn:
    """Become a program that shows a run: what ends it, Ctrl-C say, ends this process. Raises UserError where that cannot be."""
    words, at = command(name, folder, port, registry)
    print(f"http://{HOST}:{at}/  (Ctrl-C ends it)", flush=True)
    os.execv(words[0], words)


def command(name: str, folder: Path | None, port: int | None, registry: Registry) -> tuple[list[str], int]:
    """Make what the program reads; its command line and its port. Without a folder it is the knowledge base that is shown."""
    viewer = VIEWERS[name]
    if importlib.util.find_spec(viewer.module) is None:
        raise UserError(
            f"{name} is not installed.", "It is a program of its own, and nothing else needs it.", viewer.install
        )
    if folder is None and name != "datasette":
        raise UserError(
            "No run was named.", "Datasette alone shows the knowledge base.", f"metalearner open {name} RUN"
        )
    account = None if folder is None else Account.open(folder)
    at = _port(viewer.port, port)
    made = tables.knowledge() if account is None else viewer.make(account, registry)
    return [sys.executable, *viewer.words(made.absolute(), at)], at


def _port(usual: int, asked: int | None) -> int:
    """The port asked for, else the usual one, else any that is free. Raises UserError when the one asked for is taken."""
    for port in (usual, 0) if asked is None else (asked,):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((HOST, port))
            except (OSError, OverflowError):
                continue
            return int(trial.getsockname()[1])
    raise UserError(f"Port {asked} cannot be listened on.", "Something else may do so.", "Name another with --port.")
