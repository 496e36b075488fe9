"""Pictures in JSON rows, as a server gets them: {"image": nested lists, or the file in base64}."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.errors import DataError

from . import pixels
from .listing import some
from .pixels import SUFFIXES, Form, Unreadable


def cells(rows: Sequence[Any]) -> list[Any]:
    """The column "image" of a list of rows; DataError names the row that has none."""
    for i, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise DataError(f"Row {i} is a {type(row).__name__}, no object.", *_HINT)
        if "image" not in row:
            held = f"it has {some([str(key) for key in row])}" if row else "it is empty"
            raise DataError(f"Row {i} has no column 'image', {held}.", *_HINT)
    return [row["image"] for row in rows]


def image(number: int, cell: Any, form: Form, paths: bool = False) -> np.ndarray:
    """One cell to uint8 (H, W, C); DataError names the row by its number.

    A path is opened only with `paths`: rows that come from a server may be a stranger's.
    """
    if isinstance(cell, str):
        return _encoded(number, cell.strip(), form, paths)
    try:
        values = np.array(cell, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"The image in row {number} is no rectangle of numbers.", *_HINT) from None
    fits = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (1, 3, 4))
    if not fits or 0 in values.shape or not np.isfinite(values).all():
        told = f"has shape {values.shape}" if not fits or 0 in values.shape else "has values that are missing"
        raise DataError(f"The image in row {number} {told}.", *_HINT)
    if form.depth is None:
        low, high = float(values.min()), float(values.max())
        scaled = high <= 1 and (values != np.rint(values)).any()
        if low < 0 or high > 255 or scaled:
            raise DataError(f"The values of the image in row {number} go from {low:g} to {high:g}.", *_HINT)
        values = np.rint(values).astype(np.uint8)
    return pixels.convert(values, form)


def _encoded(number: int, text: str, form: Form, paths: bool) -> np.ndarray:
    try:
        if text.lower().endswith(SUFFIXES):  # base64 has no dots
            if not paths:
                raise DataError(f"The image in row {number} is a path, '{text[:80]}': it is not opened.", *_HINT)
            return pixels.read(Path(text), form)
        if text.startswith("data:"):
            text = text.partition(",")[2]
        return pixels.read(BytesIO(base64.b64decode("".join(text.split()), validate=True)), form)
    except (binascii.Error, ValueError):
        raise DataError(f"The image in row {number} is text, and no base64.", *_HINT) from None
    except Unreadable as reason:
        raise DataError(f"The image in row {number} could not be read: {reason}.", *_HINT) from None


_HINT = (
    "A row holds 'image': an image file in base64, or nested lists (h, w) or (h, w, 1 | 3 | 4) of numbers 0 to 255.",
    'Try {"image": [[0, 255], [128, 64]]}.',
)
