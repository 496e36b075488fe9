"""What the kernels do, in NumPy: where nothing was compiled, and to check them by. The same results to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .signs import Convolution, Then

AT_ONCE = 1 << 22  # words compared at once


def pack(x: np.ndarray, threshold: np.ndarray | None, groups: int) -> np.ndarray:
    """x (..., groups * channels) -> bits (..., groups, words)."""
    with np.errstate(invalid="ignore"):
        up = x >= (np.float32(0) if threshold is None else threshold)
    channels = x.shape[-1] // groups
    apart = up.reshape(*x.shape[:-1], groups, channels)
    full = np.zeros((*apart.shape[:-1], -(-channels // 64) * 64), np.bool_)
    full[..., :channels] = apart
    packed = np.packbits(full, axis=-1, bitorder="little").view("<u8")
    return packed.astype(np.uint64, copy=False)


def products(a: np.ndarray, weights: np.ndarray, length: int) -> np.ndarray:
    """a (n, words), weights (outputs, words) -> (n, outputs) int32."""
    out = np.empty((len(a), len(weights)), np.int32)
    step = max(1, AT_ONCE // max(1, weights.size))
    for i in range(0, len(a), step):
        apart = np.bitwise_count(a[i : i + step, None] ^ weights[None])
        out[i : i + step] = length - 2 * apart.sum(-1, dtype=np.int32)
    return out


def convolve(x: np.ndarray, weights: Sequence[np.ndarray], how: Convolution, after: tuple[int, int]) -> np.ndarray:
    """x (n, height, width, groups, words), weights a group (outputs, kernel * words) -> (n, height', width', outputs)."""
    (down, across), (kh, kw), deep = how.pad, how.kernel, x.shape[-1]
    padded = np.pad(x, ((0, 0), (down, down), (across, across), (0, 0), (0, 0)))
    rows = np.arange(after[0])[:, None] * how.stride[0] + np.arange(kh) * how.dilation[0]  # (height', kh)
    columns = np.arange(after[1])[:, None] * how.stride[1] + np.arange(kw) * how.dilation[1]  # (width', kw)
    found = []
    for group, own in enumerate(weights):
        taps = padded[
            :, rows[:, None, :, None], columns[None, :, None, :], group
        ]  # (n, height', width', kh, kw, words)
        found.append(products(taps.reshape(-1, kh * kw * deep), own, how.length))
    return np.concatenate(found, axis=1).reshape(len(x), *after, how.outputs)


def finished(whole: np.ndarray, then: Then | None) -> np.ndarray:
    """Products (..., outputs) as they are, scaled and shifted, or as the next bits (..., words)."""
    if then is None:
        return whole
    if then.least is not None:
        up = (whole >= then.least) != then.flip.astype(np.bool_)
        return pack(up.astype(np.float32), np.full(whole.shape[-1], 0.5, np.float32), 1)[..., 0, :]
    real = whole.astype(np.float32)
    if then.scale is not None:
        real = real * then.scale
    return real if then.bias is None else real + then.bias
