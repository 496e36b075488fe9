"""Programs: a network as steps over one block of memory, run by the kernels or by NumPy, kept as safetensors."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import library, numpy_machine
from .steps import NOTHING

WEIGHTS, ABOUT = "program.safetensors", "program.json"
VERSION = 1
PARTS = ("values", "codes", "mask")  # of a view


@dataclass(frozen=True)
class Input:
    """A part of a view, by the name ONNX has for it: so many numbers a row, and where they go."""

    name: str
    size: int
    place: int
    step: int  # from one row to the next


@dataclass(frozen=True)
class Program:
    """What program.h does: steps as numbers, constants, and how much memory a row takes."""

    steps: np.ndarray  # int64
    weights: np.ndarray  # uint8, aligned to lines
    memory: int  # numbers of 4 bytes a row
    inputs: tuple[Input, ...]
    place: int  # of what comes out, with the step from one row to the next and where in it to begin
    step: int
    start: int
    width: int
    codes: frozenset[int] = frozenset()  # the kinds of its steps

    def run(self, given: Mapping[str, np.ndarray]) -> np.ndarray:
        """Inputs by name (n, ...) -> (n, width) float32."""
        rows = len(given[self.inputs[0].name])
        if not rows:
            return np.empty((0, self.width), np.float32)
        parts = [np.ascontiguousarray(given[i.name], np.float32).reshape(rows, -1) for i in self.inputs]
        for one, part in zip(self.inputs, parts):
            if part.shape[1] != one.size:
                raise ValueError(f"'{one.name}' has {part.shape[1]} numbers a row; the program takes {one.size}")
        out = np.empty((rows, self.width), np.float32)
        found = library.kernels()
        if found is None:
            return numpy_machine.run(self, parts)
        pointers = (ctypes.c_void_p * len(parts))(*(p.ctypes.data for p in parts))
        spots = np.array([(i.size, i.place, i.step) for i in self.inputs], np.int64)
        result = np.array([self.width, self.place, self.step, self.start], np.int64)
        if found.program_run(
            self.steps.ctypes.data, self.weights.ctypes.data, self.memory, len(parts), pointers, spots.ctypes.data,
            result.ctypes.data, rows, out.ctypes.data,
        ):  # fmt: skip
            raise MemoryError("no memory for a program's numbers")
        return out

    def holds(self, code: int) -> bool:
        """Whether some step is of this kind."""
        return code in self.codes

    def files(self) -> dict[str, bytes]:
        """What is kept, by name."""
        from safetensors.numpy import save

        about = {"version": VERSION, "memory": self.memory, "inputs": [vars(i) for i in self.inputs],
                 "place": self.place, "step": self.step, "start": self.start, "width": self.width}  # fmt: skip
        # Steps fit into 32 bits but for the sign of nothing.
        small = np.where(self.steps == NOTHING, -(1 << 31), self.steps).astype(np.int32)
        return {WEIGHTS: save({"steps": small, "weights": self.weights}), ABOUT: json.dumps(about).encode()}

    @classmethod
    def load(cls, folder: Path) -> Program:
        """From a folder with these files. Raises ValueError where they are not what they should be."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            about = json.loads((folder / ABOUT).read_text())
            if about["version"] != VERSION:
                raise ValueError(f"a program of version {about['version']}; this one reads {VERSION}")
            arrays = load((folder / WEIGHTS).read_bytes())
            steps, weights = arrays["steps"], arrays["weights"]
            inputs = tuple(_input(one) for one in about["inputs"])
            numbers = [_whole(about[name]) for name in ("memory", "place", "step", "start", "width")]
        except (KeyError, TypeError, AttributeError, OSError, RecursionError, SafetensorError) as problem:
            raise ValueError(f"files that are no program: {type(problem).__name__}: {problem}") from problem
        if steps.dtype.kind != "i" or weights.dtype != np.uint8 or steps.ndim != 1 or weights.ndim != 1:
            raise ValueError("steps that are no whole numbers, or weights that are no bytes")
        wide = steps.astype(np.int64)
        wide[wide == -(1 << 31)] = NOTHING
        memory, *result = numbers
        found = cls(wide, aligned_copy(weights), memory, inputs, *result)
        numpy_machine.check(found)
        return found


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    return value


def _input(about: Mapping[str, Any]) -> Input:
    if set(about) != {"name", "size", "place", "step"} or about["name"].rpartition(".")[2] not in PARTS:
        raise TypeError(f"{about!r} is no input")
    return Input(about["name"], *(_whole(about[n]) for n in ("size", "place", "step")))


def aligned_copy(content: np.ndarray) -> np.ndarray:
    """The same bytes at an address that is a multiple of 64."""
    block = np.zeros(len(content) + 64, np.uint8)
    start = -block.ctypes.data % 64
    block[start : start + len(content)] = content
    return block[start : start + len(content)]
