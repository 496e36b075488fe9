"""What takes seconds to import and is needed only at the end of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Warm:
    """Imports what the ensemble and the export to ONNX need, beside the search and not before its first model."""

    def __init__(self) -> None:
        self._threads: dict[str, threading.Thread] = {}
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *problem: object) -> None:
        """Nothing is begun any more by itself: a run that failed is not followed by imports."""
        if self._timer is not None:
            self._timer.cancel()

    def begin(self) -> None:
        """Start importing, once."""
        self._start("", _import)

    def begin_after(self, seconds: float) -> None:
        """Start importing then, unless that was done before: a first model that takes long must not put off the end."""
        self._timer = threading.Timer(seconds, self.begin)
        self._timer.daemon = True
        self._timer.start()

    def beside(self, name: str, work: Callable[[], None]) -> None:
        """Something else that will be needed, once by its name, after that."""
        if name not in self._threads:
            first = self._threads[""]

            def later() -> None:
                first.join()
                work()

            self._start(name, later)

    @property
    def ready(self) -> bool:
        """Whether everything is there already."""
        return "" in self._threads and not any(thread.is_alive() for thread in self._threads.values())

    def wait(self) -> None:
        """Until everything is there."""
        self.begin()
        for thread in self._threads.values():
            thread.join()

    def _start(self, name: str, work: Callable[[], None]) -> None:
        if name not in self._threads:
            self._threads[name] = threading.Thread(target=work, daemon=True)
            self._threads[name].start()


def _import() -> None:
    import onnxruntime  # noqa: F401
    import torch
    import torch.onnx

    torch.set_num_threads(2)
