"""Sensors that nobody has seen, each with a truth that was planted: what a network must know to read them.

Each gives x (n, steps, channels) as the raw array that a user would have, and labels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

ROWS = 900

Made = tuple[np.ndarray, np.ndarray]


def hexagonal(rng: np.random.Generator) -> Made:
    """61 cells of a hexagonal grid in one row: the class is the shape of four lit cells, anywhere, on noise."""
    cells = [(q, r) for q in range(-4, 5) for r in range(-4, 5) if abs(q + r) <= 4]
    place = {cell: i for i, cell in enumerate(cells)}
    shapes = [[(0, 0), (1, 0), (2, 0), (3, 0)], [(0, 0), (1, 0), (1, -1), (2, -1)], [(0, 0), (1, 0), (0, 1), (-1, 1)]]
    y = rng.integers(len(shapes), size=ROWS)
    x = rng.normal(0, 0.5, (ROWS, len(cells), 1))
    for row, label in zip(x, y):
        while True:
            q, r = cells[int(rng.integers(len(cells)))]
            lit = [(q + a, r + b) for a, b in shapes[label]]
            if all(cell in place for cell in lit):
                break
        row[[place[cell] for cell in lit], 0] += 1.5
    return x, y


def phase(rng: np.random.Generator) -> Made:
    """128 steps of a complex signal at any phase: the class is how the phase moves, which two channels say only together."""
    y, steps = rng.integers(4, size=ROWS), 128
    drift = np.array([0.0, 0.25, -0.25, 0.5])[y][:, None] * np.arange(steps)
    jumps = rng.integers(4, size=(ROWS, steps // 8)).repeat(8, axis=1) * np.pi / 2
    angle = rng.uniform(0, 2 * np.pi, (ROWS, 1)) + drift + jumps
    x = np.stack([np.cos(angle), np.sin(angle)], axis=2) * rng.uniform(0.5, 2.0, (ROWS, 1, 1))
    return x + rng.normal(0, 0.6, x.shape), y


def taps(rng: np.random.Generator) -> Made:
    """24 channels of an array in any fixed order, 48 steps: the class is how far a pulse is delayed from tap to tap."""
    y, steps, channels = rng.integers(4, size=ROWS), 48, 24
    order = rng.permutation(channels)
    slope = np.array([-0.6, -0.2, 0.2, 0.6])[y]
    start = steps / 2 + rng.uniform(-6, 6, ROWS)
    arrives = start[:, None] + slope[:, None] * (np.arange(channels) - channels / 2)
    pulse = np.exp(-((np.arange(steps)[None, :, None] - arrives[:, None, :]) ** 2) / 8)
    return (pulse + rng.normal(0, 0.7, pulse.shape))[:, :, order], y


def events(rng: np.random.Generator) -> Made:
    """40 events in any order, each a time and a place in the plane: the class is where they move, among a third of noise."""
    y, count = rng.integers(4, size=ROWS), 40
    toward = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])[y]
    time = rng.uniform(-1, 1, (ROWS, count, 1))
    place = rng.uniform(-0.5, 0.5, (ROWS, 1, 2)) + time * toward[:, None] + rng.normal(0, 0.35, (ROWS, count, 2))
    noise = rng.random((ROWS, count)) < 1 / 3
    place[noise] = rng.uniform(-1.5, 1.5, (int(noise.sum()), 2))
    return np.concatenate([time, place], axis=2), y


SENSORS: dict[str, Callable[[np.random.Generator], Made]] = {f.__name__: f for f in (hexagonal, phase, taps, events)}


def write(name: str, folder: Path) -> Path:
    """The same rows every time, as an NPZ."""
    x, y = SENSORS[name](np.random.default_rng(list(SENSORS).index(name)))
    file = folder / f"{name}.npz"
    np.savez_compressed(file, x=x.astype(np.float32), y=np.array([f"class-{v}" for v in y]))
    return file
