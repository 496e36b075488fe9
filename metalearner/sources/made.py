"""Data made by a program: each task plants one bias and nothing else. They teach the knowledge base, and count for no headline.

What is planted is what a family of models may rely on: shapes that count wherever they occur, a period, an order that was
shuffled away, symbols far apart that must agree, parity, sets, prototypes, rules, smooth and linear functions. Each comes in
VARIANTS of size, noise and distracting channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

VARIANTS = 10
ROWS = (250, 600, 1500)
NOISE = (0.2, 0.7)


@dataclass(frozen=True)
class Recipe:
    """How large, how noisy, with how many channels or columns that mean nothing."""

    rng: np.random.Generator
    rows: int
    noise: float
    distracting: bool

    @classmethod
    def of(cls, bias: str, variant: int) -> Recipe:
        """Sizes, noise and distractors are crossed over the variants."""
        rng = np.random.default_rng([list(BIASES).index(bias), variant])
        return cls(rng, ROWS[variant % 3], NOISE[variant // 3 % 2], variant % 2 == 1)

    def classes(self, n: int) -> np.ndarray:
        """A class (rows,) each, as many of each as chance gives."""
        return self.rng.integers(n, size=self.rows)

    def normal(self, *shape: int) -> np.ndarray:
        """Noise (rows, shape...) of deviation 1."""
        return self.rng.normal(size=(self.rows, *shape))

    def mixed(self, x: np.ndarray, more: int) -> np.ndarray:
        """Columns (rows, p), with `more` that mean nothing among them where there are to be distractors, in any order."""
        if self.distracting:
            x = np.concatenate([x, self.normal(more)], axis=1)
        return x[:, self.rng.permutation(x.shape[1])]


Made = tuple[np.ndarray, np.ndarray]  # x (rows, ...), labels or numbers (rows,)


def locality(r: Recipe) -> Made:
    """Series of 128 steps: a short shape, one a class, at a place that means nothing."""
    classes, width, steps = 3, 14, 128
    shapes = r.rng.normal(size=(classes, width)).cumsum(axis=1)
    shapes = (shapes - shapes.mean(1, keepdims=True)) / shapes.std(1, keepdims=True)
    y, x = r.classes(classes), r.normal(steps, 2 if r.distracting else 1) * r.noise
    for row, label, at in zip(x, y, r.rng.integers(steps - width, size=r.rows)):
        row[at : at + width, 0] += shapes[label]
    return x, y


def period(r: Recipe) -> Made:
    """Series of 96 steps: a wave whose period is the class, at any phase."""
    y, steps = r.classes(4), np.arange(96)
    waves = np.array([0.06, 0.09, 0.13, 0.18])[y][:, None] * steps + r.rng.random((r.rows, 1))
    x = np.sin(2 * np.pi * waves)[:, :, None]
    if r.distracting:
        x = np.concatenate([x, np.sin(2 * np.pi * (r.rng.uniform(0.05, 0.2, (r.rows, 1)) * steps))[:, :, None]], axis=2)
    return x + r.normal(*x.shape[1:]) * 1.5 * r.noise, y


def shift(r: Recipe) -> Made:
    """Pictures of 20 x 20: a stamp of 5 x 5, one a class, anywhere; perhaps beside one that all classes share."""
    classes, side, size = 4, 20, 5
    stamps = (r.rng.random((classes + 1, size, size)) < 0.5) * 2.0 - 1.0
    y, x = r.classes(classes), r.normal(side, side) * r.noise
    for row, label in zip(x, y):
        for stamp in [classes, label] if r.distracting else [label]:
            down, right = r.rng.integers(side - size, size=2)
            row[down : down + size, right : right + size] = (
                stamps[stamp] + row[down : down + size, right : right + size]
            )
    low, high = x.min(), x.max()
    return ((x - low) / (high - low) * 255).astype(np.uint8), y


def permutation(r: Recipe) -> Made:
    """A table of 96 columns that was a series with a local shape, until its columns were shuffled, all rows alike."""
    x, y = period(r)
    return x[:, r.rng.permutation(x.shape[1]), 0], y


def copy(r: Recipe) -> Made:
    """Series of 80 steps of four symbols: does the first one that is marked agree with the last one that is?"""
    steps, symbols = 80, 4
    drawn = r.rng.integers(symbols, size=(r.rows, steps))
    y = r.classes(2)
    x = np.eye(symbols + 1)[drawn]
    for row, said, label in zip(x, drawn, y):
        first, last = r.rng.integers(0, 10), r.rng.integers(steps - 10, steps)
        other = said[first] if label else (said[first] + r.rng.integers(1, symbols)) % symbols
        row[last, :symbols] = np.eye(symbols)[other]
        row[[first, last], symbols] = 1.0
    if r.distracting:
        x = np.concatenate([x, r.normal(steps, 2)], axis=2)
    return x + r.normal(*x.shape[1:]) * 0.2 * r.noise, y


def parity(r: Recipe) -> Made:
    """A table of bits: is the number of ones among a few of them odd?"""
    width, few = 8, int(r.rng.integers(2, 4))
    bits = r.rng.integers(2, size=(r.rows, width))
    y = bits[:, :few].sum(axis=1) % 2
    wrong = r.rng.random(r.rows) < 0.1 * r.noise
    return r.mixed(bits.astype(float), 4), np.where(wrong, 1 - y, y)


def sets(r: Recipe) -> Made:
    """Sixteen elements in an order that means nothing: how many lie outside of a sphere?"""
    elements, features = 16, 3
    x = r.normal(elements, features)
    outside = (np.linalg.norm(x, axis=2) > 1.5).sum(axis=1)
    y = np.digitize(outside + r.rng.normal(size=r.rows) * r.noise, np.quantile(outside, [1 / 3, 2 / 3]))
    return np.concatenate([x, r.normal(elements, 2)], axis=2) if r.distracting else x, y


def retrieval(r: Recipe) -> Made:
    """A table: the class of the nearest of many prototypes."""
    prototypes, width, classes = 24, 4, 3
    x, places = r.normal(width), r.rng.normal(size=(prototypes, width))
    nearest = ((x[:, None] - places) ** 2).sum(axis=2).argmin(axis=1)
    return r.mixed(x + r.normal(width) * 0.3 * r.noise, 3), r.rng.integers(classes, size=prototypes)[nearest]


def rules(r: Recipe) -> Made:
    """A table: a number read off thresholds on single columns, four deep."""
    width, depth = 8, 4
    x, leaf = r.normal(width), np.zeros(r.rows, int)
    for _ in range(depth):
        columns, cuts = r.rng.integers(width, size=2**depth), r.rng.normal(size=2**depth) * 0.6
        leaf = 2 * leaf + (x[np.arange(r.rows), columns[leaf]] > cuts[leaf])
    return r.mixed(x, 4), r.rng.normal(size=2**depth)[leaf % 2**depth] * 2 + r.normal() * r.noise


def smooth(r: Recipe) -> Made:
    """A table: a smooth function of all columns together."""
    width, bumps = 6, 40
    x = r.normal(width)
    distance = ((x[:, None] - r.rng.normal(size=(bumps, width))) ** 2).sum(axis=2)
    y = np.exp(-distance / (2 * width)) @ r.rng.normal(size=bumps)
    return r.mixed(x, 3), y / y.std() + r.normal() * 0.5 * r.noise


def linear(r: Recipe) -> Made:
    """A table: a weighted sum of a few of its many columns."""
    width, few = 24, 6
    x = r.normal(width)
    return r.mixed(x, 12), x[:, :few] @ r.rng.normal(size=few) + r.normal() * 2 * r.noise


BIASES: dict[str, Callable[[Recipe], Made]] = {
    f.__name__: f for f in (locality, period, shift, permutation, copy, parity, sets, retrieval, rules, smooth, linear)
}
SERIES, PICTURES = ("locality", "period", "copy", "sets"), ("shift",)


def modality(bias: str) -> str:
    """What kind of data a bias is planted in."""
    return "signal" if bias in SERIES else "image" if bias in PICTURES else "tabular"


def make(bias: str, out: Path, variant: str = "0") -> None:
    """ "made:parity?variant=3": the rows of one variant, the same ones every time. Raises KeyError for an unknown bias."""
    x, y = BIASES[bias](Recipe.of(bias, int(variant)))
    labels = np.array([f"class-{v}" for v in y]) if y.dtype.kind == "i" else y
    if bias in PICTURES:
        np.savez_compressed(out / "images.npz", images=x, labels=labels)
    elif bias in SERIES:
        np.savez_compressed(out / "series.npz", x=x.astype(np.float32), y=labels)
    else:
        import pandas as pd

        frame = pd.DataFrame(x.round(6), columns=[f"x{i + 1}" for i in range(x.shape[1])])
        frame.assign(target=labels if y.dtype.kind == "i" else y.round(6)).to_csv(out / "table.csv", index=False)
