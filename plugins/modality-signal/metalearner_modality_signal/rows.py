"""Signals in JSON rows, as a server gets them: {"signal": nested lists, "label": ...}."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metalearner.arrays import Ragged
from metalearner.errors import DataError

from . import heard, recordings, wave
from .labels import from_values
from .samples import Samples


def read(rows: Sequence[Mapping[str, Any]], label: str, options: Mapping[str, Any] | None = None) -> Samples:
    """Read rows; a missing value is null. Of a recording either its samples at the schema's rate, or a WAV in base64.

    Raises DataError that names the row whose signal is missing, no numbers, or of another shape.
    """
    options = options or {}
    both = [_signal(i, row, options) for i, row in enumerate(rows, 1)]
    signals, own = [signal for signal, _ in both], [listened for _, listened in both if listened is not None]
    listened = (Ragged.pack(own) if own else heard.NOTHING) if heard.COLUMN in options else None
    labels = from_values([row[label] for row in rows]) if rows and all(label in row for row in rows) else None
    if not signals:
        shape = (1, options["channels"]) if options.get("ragged") else options.get("shape", (1, 1))
        return Samples(np.zeros((0, *shape), np.float32), labels, heard=listened)
    first = signals[0].shape
    for i, signal in enumerate(signals, 1):
        if signal.ndim != len(first) or signal.shape[1:] != first[1:] or (signal.ndim != 2 and signal.shape != first):
            raise DataError(
                f"The signal in row {i} has shape {signal.shape}, that in row 1 {first}.", "All have the same axes."
            )
    if len({len(s) for s in signals}) == 1:
        return Samples(np.stack(signals), labels, heard=listened)
    return Samples(Ragged.pack(signals), labels, heard=listened)


def _signal(number: int, row: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    """One signal (axes..., channels), and the recording itself where it is wanted."""
    if "signal" not in row:
        raise DataError(f"Row {number} has no column 'signal'; it has {', '.join(map(str, row)) or 'none'}.", *_HINT)
    value = row["signal"]
    if isinstance(value, str):
        return _recording(number, value, options)
    try:
        signal = np.array(value, dtype=np.float64)
    except (ValueError, TypeError):
        raise DataError(f"The signal in row {number} is no rectangle of numbers.", *_HINT) from None
    if "rate" in options and signal.ndim == 1 and signal.size:
        return recordings.both([(np.nan_to_num(signal).astype(np.float32), options["rate"])], options)[0]
    if signal.ndim == 1:
        signal = signal[:, None]
    if not 2 <= signal.ndim <= 4 or 0 in signal.shape:
        raise DataError(f"The signal in row {number} has shape {signal.shape}.", *_HINT)
    if heard.COLUMN in options:
        raise DataError(
            f"The signal in row {number} is no recording.",
            "This model listens to recordings.",
            "Give samples, or a WAV in base64.",
        )
    return signal, None


def _recording(number: int, text: str, options: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    """A WAV or FLAC file in base64. A path is never opened: rows may come from strangers."""
    if "rate" not in options:
        raise DataError(f"The signal in row {number} is text.", *_HINT)
    try:
        file = io.BytesIO(base64.b64decode(text, validate=True))
        head = wave.header(file)
    except (binascii.Error, wave.Unreadable) as error:
        raise DataError(
            f"The recording in row {number} cannot be read: {error}.",
            "It is a WAV or FLAC file in base64.",
            "Send all bytes of the file: base64.b64encode(data).decode().",
        ) from None
    samples = wave.samples(file, head, recordings.needed_of(head.rate, options))
    return recordings.both([(samples, head.rate)], options)[0]


_HINT = ("A row holds 'signal': nested lists of numbers (axes..., channels).", 'Try {"signal": [[0.1], [0.2], ...]}.')
