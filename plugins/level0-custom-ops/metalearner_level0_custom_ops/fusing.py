"""Fewer steps for the same numbers: what follows a binary convolution is done where its products come out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .signs import words
from .steps import Buffer, Constant, Map, Operand, Pack, Signs, Step


def fused(steps: Sequence[Step], result: Buffer) -> list[Step]:
    """Scale and bias, and thresholds of the next signs, where nobody else reads what they are taken from."""
    left = list(steps)
    for signs in [s for s in left if isinstance(s, Signs)]:
        while (after := _reader(left, signs.out.source, result)) is not None and _absorbed(signs, after):
            signs.out = after.out
            # It is done as late as what it took in was: what that read is there by then.
            left.remove(signs)
            left[left.index(after)] = signs
    return left


def _reader(steps: Sequence[Step], source: object, result: Buffer) -> Step | None:
    """The one step that reads it, None where there are more or it is the answer."""
    if source is result:
        return None
    found = [s for s in steps for _, operand in s.operands() if operand.source is source]
    writers = [s for s in steps if s.out.source is source]
    return found[0] if len(found) == 1 and len(writers) == 1 else None


def _absorbed(signs: Signs, after: Step) -> bool:
    """Whether a step could be taken in."""
    if signs.least.source is not None:
        return False
    outputs = signs.how.outputs
    if isinstance(after, Pack):
        if after.groups != 1 or after.places != signs.places or after.channels != outputs or after.a.start:
            return False
        if not isinstance(after.out.source, Buffer) or after.out.source.size != 2 * signs.places * words(outputs):
            return False
        least, flip = _levels(signs, _array(after.threshold, outputs, 0.0))
        signs.least, signs.flip = Operand(Constant(least)), Operand(Constant(flip))
        signs.scale = signs.bias = Operand(None)
        return True
    if not isinstance(after, Map) or after.kind not in ("times", "plus") or after.b is None or after.out.start:
        return False
    mine, other = (after.a, after.b) if after.a.source is signs.out.source else (after.b, after.a)
    strides = after.strides[1:] if mine is after.a else after.strides[:0:-1]
    if not isinstance(other.source, Constant) or mine.start:
        return False
    by_channel = after.shape[-1:] == (outputs,) and strides[1][-1:] == (1,) and not any(strides[1][:-1])
    single = not any(strides[1])
    together = int(np.prod(after.shape)) == signs.places * outputs
    if not together or not (single or by_channel) or strides[0] != after.strides[0] or strides[0][-1] != 1:
        return False
    if len(after.shape) > 2 or (len(after.shape) == 2 and strides[0] != (outputs, 1)):
        return False
    flat = other.source.array.reshape(-1)[other.start :].astype(np.float32)
    found = Operand(
        Constant(np.ascontiguousarray(flat[:outputs] if by_channel else np.full(outputs, flat[0], np.float32)))
    )
    if after.kind == "times" and signs.scale.source is None and signs.bias.source is None:
        signs.scale = found
        return True
    if after.kind == "plus" and signs.bias.source is None:
        signs.bias = found
        return True
    return False


def _levels(signs: Signs, threshold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For which products `product * scale + bias >= threshold`, as the least of them, turned round where the scale is negative.

    Every product there can be is tried with the rounding that float32 has, so that nothing is left to chance.
    """
    outputs, length = signs.how.outputs, signs.how.length
    products = np.arange(-length, length + 1, dtype=np.float32)[:, None]
    real = products * _array(signs.scale, outputs, 1.0)
    if signs.bias.source is not None:
        real = real + _array(signs.bias, outputs, 0.0)
    up = real >= threshold  # (products, outputs), monotone along the first axis
    falls = up[0] & ~up[-1]
    rising = np.where(falls, ~up, up)
    least = np.where(rising.any(0), rising.argmax(0) - length, length + 1).astype(np.int32)
    return least, falls.astype(np.uint8)


def _array(operand: Operand, outputs: int, blank: float) -> np.ndarray:
    if not isinstance(operand.source, Constant):
        return np.full(outputs, blank, np.float32)
    return operand.source.array.reshape(-1)[operand.start : operand.start + outputs].astype(np.float32)
