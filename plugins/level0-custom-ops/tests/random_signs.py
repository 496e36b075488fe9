"""Convolutions of signs drawn at random, and what they come to when it is computed slowly. No torch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from metalearner_level0_custom_ops import library, signs
from metalearner_level0_custom_ops.shift import products
from metalearner_level0_custom_ops.signs import Convolution, Then

KERNELS = library.kernels()
SETS = range(KERNELS.signs_choose(len(library.SETS)) + 1) if KERNELS else range(0)  # instruction sets that are here


@dataclass(frozen=True)
class Case:
    """Numbers, the geometry, and what is done with each product."""

    x: np.ndarray  # (n, height, width, groups * channels)
    weight: np.ndarray  # (outputs, kh, kw, channels)
    threshold: np.ndarray | None
    how: Convolution
    scaled: Then
    onward: Then

    def packed(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """As the kernels take it."""
        rows = signs.pack(self.weight).reshape(self.how.outputs, -1)
        panels = [signs.panels(part) for part in np.split(rows, self.how.groups)]
        return signs.pack(self.x, self.threshold, self.how.groups), panels


def drawn(rng: np.random.Generator) -> Case:
    """Odd sizes, series and images, padding, groups, strides, dilation; channels about and beyond whole words."""
    flat = rng.random() < 0.3
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    channels = int(rng.choice([1, 3, 8, 31, 63, 64, 65, 100, 128, 129, 300]))
    outputs = groups * int(rng.choice([1, 2, 5, 7, 8, 9, 16, 17, 33, 66]))
    kernel, stride, pad, dilation = (
        (1 if flat and kind != "pad" else 0 if flat else int(rng.integers(low, high)), int(rng.integers(low, high)))
        for kind, low, high in (("kernel", 1, 5), ("stride", 1, 4), ("pad", 0, 3), ("dilation", 1, 4))
    )
    least = [max(1, d * (k - 1) + 1 - 2 * p) for d, k, p in zip(dilation, kernel, pad)]
    height, width = (1 if flat else least[0] + int(rng.integers(0, 6))), least[1] + int(rng.integers(0, 9))
    how = Convolution(channels, outputs, kernel, stride, pad, dilation, groups)
    x = rng.normal(size=(int(rng.integers(1, 4)), height, width, groups * channels)).astype(np.float32)
    x[rng.random(x.shape) < 0.05] = rng.choice([0.0, -0.0, np.nan, np.inf, -np.inf])
    threshold = rng.normal(size=groups * channels).astype(np.float32) if rng.random() < 0.5 else None
    scale, bias = (rng.normal(size=outputs).astype(np.float32) for _ in range(2))
    reach = how.length + 2
    least_of, flip = rng.integers(-reach, reach, outputs).astype(np.int32), rng.integers(0, 2, outputs).astype(np.uint8)
    scaled = Then(scale if rng.random() < 0.8 else None, bias if rng.random() < 0.8 else None)
    weight = rng.normal(size=(outputs, *kernel, channels)).astype(np.float32)
    return Case(x, weight, threshold, how, scaled, Then(least=least_of, flip=flip))


def ones(x: np.ndarray, threshold: np.ndarray | float = 0.0) -> np.ndarray:
    """+1 and -1, NaN being -1."""
    with np.errstate(invalid="ignore"):
        return np.where(x >= threshold, np.float32(1), np.float32(-1))


def bits(up: np.ndarray) -> np.ndarray:
    """Truths (..., n) as words, the plain way."""
    words = -(-up.shape[-1] // 64)
    full = np.zeros((*up.shape[:-1], words * 64), np.uint64)
    full[..., : up.shape[-1]] = up
    shifted = full.reshape(*up.shape[:-1], words, 64) << np.arange(64, dtype=np.uint64)
    return np.bitwise_or.reduce(shifted, -1)


def becomes(whole: np.ndarray, then: Then) -> np.ndarray:
    """Scaled and shifted, each rounded once; or the next bits."""
    if then.least is not None:
        return bits((whole >= then.least) != then.flip.astype(bool))
    real = whole.astype(np.float32)
    real = real if then.scale is None else real * then.scale
    return real if then.bias is None else real + then.bias


def walked(made: Path, seed: int, many: int) -> None:
    """Random shapes on every instruction set of a library, against NumPy."""
    compiled, rng = library.load(made), np.random.default_rng(seed)
    for _ in range(many):
        case = drawn(rng)
        for level in SETS:
            compiled.signs_choose(level)
            for then in (None, case.scaled, case.onward):
                library.kernels = lambda: compiled  # type: ignore[assignment]
                x, panels = case.packed()
                found = signs.convolve(x, panels, case.how, then, threads=2)
                library.kernels = lambda: None  # type: ignore[assignment]
                again, panels = case.packed()
                assert np.array_equal(x, again), case.how
                assert np.array_equal(found, signs.convolve(x, panels, case.how, then)), case.how
        x, weight = (rng.normal(size=(int(rng.integers(0, 9)), case.how.channels)).astype(np.float32) for _ in range(2))
        library.kernels = lambda: compiled  # type: ignore[assignment]
        shifted = products.multiply(x, weight)
        library.kernels = lambda: None  # type: ignore[assignment]
        assert np.array_equal(shifted, products.multiply(x, weight))


if __name__ == "__main__":
    walked(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
