"""Predict what several callers ask at once in one go. It never waits: what is there when it turns is the batch."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import numpy as np

from ..arrays import Fields

Predict = Callable[[Fields], np.ndarray]


class Batcher:
    """One thread that predicts; callers wait for their own rows."""

    def __init__(self, predict: Predict, most_rows: int = 4096) -> None:
        """A batch closes at `most_rows` rows."""
        self.predict, self.most_rows = predict, most_rows
        self.batches, self.busy = 0, 0.0  # predictions made, and seconds spent in them
        self._waiting: queue.SimpleQueue[tuple[Fields, Future] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="batcher", daemon=True).start()

    def __call__(self, fields: Fields) -> np.ndarray:
        """Prediction (n, k) of these rows. Raises what `predict` raises."""
        answer: Future = Future()
        self._waiting.put((fields, answer))
        return answer.result()

    def close(self) -> None:
        """End the thread once what waits is answered."""
        self._waiting.put(None)

    def _work(self) -> None:
        open_ = True
        while open_:
            batch, rows = [], 0
            waiting = self._waiting.get()
            while waiting is not None:
                batch.append(waiting)
                rows += waiting[0].rows
                if rows >= self.most_rows:
                    break
                try:
                    waiting = self._waiting.get_nowait()
                except queue.Empty:
                    break
            open_ = waiting is not None
            if batch:
                began = time.perf_counter()
                self._answer(batch)
                self.busy += time.perf_counter() - began
                self.batches += 1

    def _answer(self, batch: Sequence[tuple[Fields, Future]]) -> None:
        """Together if possible; when that fails one by one, so that only who caused it gets the error."""
        try:
            prediction = self.predict(batch[0][0] if len(batch) == 1 else Fields.concat([f for f, _ in batch]))
            ends = np.cumsum([fields.rows for fields, _ in batch])
            parts = np.split(prediction, ends[:-1])
        except Exception as problem:
            if len(batch) == 1:
                batch[0][1].set_exception(problem)
                return
            for one in batch:
                self._answer([one])
            return
        for (_, answer), part in zip(batch, parts):
            answer.set_result(part)
