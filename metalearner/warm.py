"""What takes seconds to import and is needed only at the end of a run."""

from __future__ import annotations

import threading


class Warm:
    """Imports what the ensemble and the export to ONNX need, beside the search and not before its first model."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start importing, once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._import, daemon=True)
            self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether everything is there already."""
        return self._thread is not None and not self._thread.is_alive()

    def wait(self) -> None:
        """Until everything is there."""
        self.begin()
        assert self._thread is not None
        self._thread.join()

    def _import(self) -> None:
        import onnxruntime  # noqa: F401
        import torch
        import torch.onnx

        torch.set_num_threads(2)
