"""Who is told of a run: callbacks, each in a process of its own that reads what the run writes, and at its end the plugins."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pluggy

# What callbacks say goes below this folder of the run, a file each.
FOLDER = "callbacks"


def tell(hook: pluggy.HookRelay, run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every plugin that wants to know of finished runs is told of this one; (name, why) of each that raised."""
    for told in hook.run_finished.get_hookimpls():
        try:
            told.function(*[run for _ in told.argnames])
        except Exception as problem:  # a run that is stored is none the worse
            yield told.plugin_name, f"{type(problem).__name__}: {problem}"


class Observers:
    """Processes that outlive this one if they must; the kernel tells them when the run's owner is gone."""

    def __init__(self, names: Iterable[str], folder: Path) -> None:
        self.folder = folder / FOLDER
        self._processes = {name: self._begin(name, folder) for name in names}

    def failed(self) -> Iterator[tuple[str, str]]:
        """(name, why) of each that gave up, once."""
        for name, process in list(self._processes.items()):
            if process.poll():
                del self._processes[name]
                said = self._file(name).read_text(errors="replace").strip().splitlines()
                yield name, said[-1] if said else f"exit code {process.returncode}"

    def close(self, seconds: float) -> Iterator[tuple[str, str]]:
        """Wait at most so long for their last words; (name, why) of each that gave up, or that is left to end by itself."""
        until = time.monotonic() + seconds
        while any(process.poll() is None for process in self._processes.values()) and time.monotonic() < until:
            time.sleep(0.02)
        yield from self.failed()
        yield from ((n, "it still writes, and ends by itself") for n, p in self._processes.items() if p.poll() is None)

    def _begin(self, name: str, folder: Path) -> subprocess.Popen[bytes]:
        self.folder.mkdir(exist_ok=True)
        with self._file(name).open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "metalearner", "follow", str(folder), name], stdin=subprocess.DEVNULL, stdout=said,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.txt"
