"""Numbers on a grid by signed powers of two: by the compiled kernel, or by NumPy with the same results. No torch.

A weight is 0 or +-2^-14 ... +-1, written as a code: 0, or the sign times 1 + 14 plus the exponent. A number is a multiple of 1 / 256
within +-128. Sums are whole numbers, so that both ways agree to the last bit.
"""

from __future__ import annotations

import numpy as np

from .. import library

LEAST, FINE, REACH = 14, 256, 1 << 15
LONGEST = 1 << 24  # inputs, of which sums are exact: 2^24 * 2^15 * 2^14 is below 2^63
HALFWAY = np.float32(np.sqrt(0.5))  # between two powers, on the scale of exponents


def codes(weight: np.ndarray) -> np.ndarray:
    """float32 (...) -> int8 (...); what is below the least power, or no number, is 0."""
    part, exponent = np.frexp(np.abs(weight))
    nearest = exponent - (part < HALFWAY)
    there = (nearest >= -LEAST) & np.isfinite(weight)
    return np.where(there, np.sign(weight) * (1 + LEAST + np.minimum(nearest, 0)), 0).astype(np.int8)


def whole(x: np.ndarray) -> np.ndarray:
    """float32 (...) -> multiples of 1 / 256 as int32; NaN is 0."""
    return np.rint(np.nan_to_num(np.clip(x, -REACH / FINE, REACH / FINE)) * np.float32(FINE)).astype(np.int32)


def multiply(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """x (n, inputs) float32 by weight (outputs, inputs) float32 -> (n, outputs) float32, rounded once."""
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1] or x.shape[1] > LONGEST:
        raise ValueError(f"x {x.shape} and weight {weight.shape}: (n, inputs), (outputs, inputs)")
    given, coded = np.ascontiguousarray(whole(x)), np.ascontiguousarray(codes(weight))
    found = library.kernels()
    if found is None:
        sums = given.astype(np.int64) @ _powers(coded).T
    else:
        sums = np.empty((len(given), len(coded)), np.int64)
        found.shift_multiply(given.ctypes.data, coded.ctypes.data, *sums.shape, given.shape[1], sums.ctypes.data)
    return sums.astype(np.float32) * np.float32(1 / (FINE << LEAST))


def _powers(coded: np.ndarray) -> np.ndarray:
    """What codes stand for, times 2^14: int64."""
    return np.where(coded == 0, 0, np.sign(coded).astype(np.int64) << np.maximum(np.abs(coded) - 1, 0).astype(np.int64))
