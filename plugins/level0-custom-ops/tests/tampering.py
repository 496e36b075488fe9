"""Programs as somebody who means harm would write them: numbers of a good one changed, and what comes of it.

Run by itself in a process of its own, for it may die: `python tampering.py LIBRARY SEED MANY`.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import random_graphs
from metalearner_level0_custom_ops import library, numpy_machine
from metalearner_level0_custom_ops.assembling import from_onnx
from metalearner_level0_custom_ops.program import Program
from metalearner_level0_custom_ops.steps import NOTHING, Unsupported

ROWS = 5
WORST = (0, 1, -1, 2, 8, 9, 64, (1 << 31) - 1, -(1 << 31), 1 << 40, NOTHING)


def good(seed: int) -> tuple[Program, tuple[int, ...]] | None:
    """A program drawn at random, and the shape of its rows; None where it cannot be one."""
    content, shape = random_graphs.drawn(seed)
    try:
        return from_onnx(content), shape
    except Unsupported:
        return None


def tampered(program: Program, rng: np.random.Generator) -> Program:
    """One to three of its numbers changed: in the steps, or beside them."""
    steps, memory, about = program.steps.copy(), program.memory, {}
    for _ in range(int(rng.integers(1, 4))):
        where = rng.random()
        at = int(rng.integers(0, len(steps)))
        if where < 0.85:
            near = int(steps[at]) + int(rng.integers(-2, 3)) if steps[at] != NOTHING else 0
            other = int(steps[rng.integers(0, len(steps))])
            steps[at] = [near, other, int(rng.choice(WORST)), int(rng.integers(0, 100))][int(rng.integers(0, 4))]
        elif where < 0.88:
            steps = np.delete(steps, at) if len(steps) > 1 else steps
        elif where < 0.91:
            steps = steps[: at + 1].copy()
        elif where < 0.94:
            memory = int(rng.choice([0, -1, 1, memory - 1, memory // 2, memory + 1, 1 << 40]))
        else:
            name = str(rng.choice(["place", "step", "start", "width"]))
            about[name] = int(rng.choice([*WORST[:8], getattr(program, name) + 1]))
    return replace(program, steps=steps, memory=memory, **about)


def survived(seed: int, many: int) -> tuple[int, int, int]:
    """How many were let through, how many refused, in how many the kernels and NumPy differ; both run all that is let through."""
    rng = np.random.default_rng(seed)
    ran = refused = differ = 0
    while ran + refused < many:
        found = good(int(rng.integers(0, 1 << 31)))
        if found is None:
            continue
        program, shape = found
        x = rng.normal(size=(ROWS, *shape)).astype(np.float32)
        for _ in range(30):
            other = tampered(program, rng)
            try:
                numpy_machine.check(other)
            except ValueError:
                refused += 1
                continue
            ran += 1
            here = other.run({"v.values": x})
            there = numpy_machine.run(other, [x.reshape(ROWS, -1)])
            # NaN and the infinite may come out otherwise, and quotients of what is all but nothing.
            with np.errstate(all="ignore"):
                apart = np.abs(here - there) > 1e-2 * np.maximum(np.abs(there), 1.0)
            differ += bool((apart & np.isfinite(here) & np.isfinite(there)).any())
    return ran, refused, differ


if __name__ == "__main__":
    made = library.load(Path(sys.argv[1]))
    library.kernels = lambda: made  # type: ignore[assignment]
    print(*survived(int(sys.argv[2]), int(sys.argv[3])))
