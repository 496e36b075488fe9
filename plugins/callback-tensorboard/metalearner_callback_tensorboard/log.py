"""One event file of TensorBoard's, written through its own library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.record_writer import RecordWriter


class Log:
    """A file of events in a folder of its own; TensorBoard calls such a folder a run.

    Not its EventFileWriter: that starts a thread a file, of which there is one a model, and puts this machine's name into files.
    """

    def __init__(self, folder: Path, at: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / f"events.out.tfevents.{int(at)}").open("wb")
        self._records = RecordWriter(self._file)
        self._write(at, file_version="brain.Event:2")

    def scalar(self, tag: str, value: float, step: int, at: float) -> None:
        """A number at a step and a moment, in seconds since 1970."""
        self._write(at, step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]))

    def hyperparameters(self, numbers: Mapping[str, bool | float | str], at: float) -> None:
        """The numbers of the model that this file is about."""
        self._write(at, summary=hparams_pb(dict(numbers), start_time_secs=at))

    def flush(self) -> None:
        """Let whoever looks see what there is."""
        self._records.flush()

    def close(self) -> None:
        """Nothing more comes."""
        self._records.close()

    def _write(self, at: float, **content: Any) -> None:
        self._records.write(Event(wall_time=at, **content).SerializeToString())
