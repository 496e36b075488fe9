"""The form of a network with binary layers in a bundle: a program with packed weights, run without torch or onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from metalearner.arrays import Tensors, rows_of
from metalearner.kinds import Form, Model
from metalearner.records import View

from . import numpy_machine
from .assembling import from_onnx
from .program import Program
from .steps import SIGNS, Unsupported


class ProgramModel(Model):
    """A program as a model: "<view>.values", ".codes" and ".mask" in, the prediction out."""

    def __init__(self, program: Program) -> None:
        """`program` was checked."""
        self.program = program
        self.names = [(i.name, *i.name.rpartition(".")[::2]) for i in program.inputs]

    def predict(self, tensors: Tensors) -> np.ndarray:
        """Prediction (n, k), float64."""
        if not rows_of(tensors):
            return np.zeros((0, self.program.width))
        return self.program.run({n: getattr(tensors[view], part) for n, view, part in self.names}).astype(np.float64)

    def save(self, folder: Path) -> None:
        """Its two files."""
        for name, content in self.program.files().items():
            (folder / name).write_bytes(content)

    def export(self, views: Mapping[str, View]) -> Iterator[bytes]:
        """None: it is no longer what it was made from."""
        return iter(())


class Packed(Form):
    """Programs with at least one binary layer: a bit a weight instead of 32."""

    name = "program"

    def make(self, onnx: bytes) -> Mapping[str, bytes] | None:
        """The program's files; None where nothing in the network is binary, or something is no step of programs."""
        try:
            program = from_onnx(onnx)
            numpy_machine.check(program)  # it will be when it is opened: better now than then
        except (Unsupported, ValueError):
            return None
        return program.files() if program.holds(SIGNS) else None

    def load(self, folder: Path) -> Model:
        """The model. Raises ValueError where the files are no program that stays within its memory."""
        return ProgramModel(Program.load(folder))
