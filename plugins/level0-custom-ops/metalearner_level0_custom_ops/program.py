"""Programs: a network as steps over one block of memory, made from ONNX, run by the kernels or by NumPy, kept as safetensors."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import library, numpy_machine
from .fusing import fused
from .layout import BATCH, Tensor, constant, numbers_in, whole
from .lowering import OPERATIONS, Lowering
from .steps import DONE, NOTHING, Buffer, Constant, Operand, Signs, Step, Unsupported

WEIGHTS, ABOUT = "program.safetensors", "program.json"
LINE = 16  # numbers of 4 bytes to which whatever is kept is aligned
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


def from_onnx(content: bytes) -> Program:
    """The program of a network. Raises Unsupported, saying what is in the way."""
    import onnx

    model = onnx.load_from_string(content)
    graph = model.graph
    low = Lowering({i.name: constant(_known(onnx.numpy_helper.to_array(i))) for i in graph.initializer})
    given = []
    for one in graph.input:
        if one.name not in low.known:
            sizes = [d.dim_value for d in one.type.tensor_type.shape.dim]
            shape = (BATCH, *sizes[1:])
            low.known[one.name] = whole(Buffer(numbers_in(shape)), shape)
            given.append(one.name)
    for node in graph.node:
        _lower(low, node, onnx)
    result = low.tensor(graph.output[0].name)
    result = low.settled(result, range(len(result.axes)))
    if not isinstance(result.source, Buffer):
        raise Unsupported("a network whose answer does not depend on the data")
    inputs = {name: low.known[name].source for name in given}
    return assembled(fused(low.steps, result.source), inputs, result)


def _lower(low: Lowering, node: Any, onnx: Any) -> None:
    said = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    names = [n for n in node.input if n]
    if node.op_type == "Constant":
        value = said.get("value")
        array = onnx.numpy_helper.to_array(value) if value is not None else np.array(next(iter(said.values())))
        low.known[node.output[0]] = constant(_known(array))
        return
    if node.op_type == "If":
        branch = said["then_branch" if low.number(node.input[0]).item() else "else_branch"]
        for inner in branch.node:
            _lower(low, inner, onnx)
        low.known.update({name: low.tensor(o.name) for name, o in zip(node.output, branch.output)})
        return
    free = node.op_type in ("ConstantOfShape", "Expand", "Shape")  # those would fill memory with the batch
    if not free and names and all(n in low.known and low.known[n].array is not None for n in names):
        from onnx.reference import ReferenceEvaluator

        arrays = {n: np.asarray(low.known[n].array) for n in names}
        if max(a.size for a in arrays.values()) < BATCH:
            for name, array in zip(node.output, ReferenceEvaluator(node).run(None, arrays)):
                low.known[name] = constant(_known(np.asarray(array)))
            return
    if node.op_type not in OPERATIONS:
        raise Unsupported(f"the operation {node.op_type}")
    found = OPERATIONS[node.op_type](low, node, said)
    if found is not None:
        many = found if isinstance(found, list) else [found]
        low.known.update(zip(node.output, many))


def _known(array: np.ndarray) -> np.ndarray:
    """Whole numbers stay so while shapes are computed; everything else is float32."""
    return array if array.dtype.kind in "iu" or array.dtype == np.bool_ else array.astype(np.float32)


def assembled(steps: Sequence[Step], inputs: Mapping[str, Any], result: Tensor) -> Program:
    """Places for all memory, each kept from the first step that writes it to the last that reads it; everything as numbers."""
    end = len(steps)
    lives: dict[Buffer, list[int]] = {source: [-1, -1] for source in inputs.values()}
    constants: dict[int, Constant] = {}

    def seen(operand: Operand, n: int) -> None:
        source = operand.source
        if isinstance(source, Buffer):
            lives.setdefault(source, [n, n])[1] = max(n, lives.get(source, [n, n])[1])
        elif source is not None:
            constants.setdefault(id(source), source)

    for n, step in enumerate(steps):
        seen(step.out, n)
        if isinstance(step, Signs):
            seen(Operand(step.scratch), n)
        for _, operand in step.operands():
            seen(operand, n)
    seen(result.operand, end)
    sizes = {source: source.size for source in inputs.values()}
    memory = _placed(lives)
    blob = bytearray()
    for one in constants.values():
        blob += b"\0" * (-len(blob) % (4 * LINE))
        one.place = len(blob) // 4
        array = one.array if one.array.dtype in (np.uint64, np.int32, np.uint8) else one.array.astype(np.float32)
        blob += array.tobytes()
    blob += b"\0" * (-len(blob) % (4 * LINE))
    code = [n for step in steps for n in step.encoded()]
    out = result.source
    assert isinstance(out, Buffer)
    given = tuple(Input(name, sizes[source], source.place, source.size) for name, source in inputs.items())
    weights = aligned_copy(np.frombuffer(bytes(blob), np.uint8))
    width = numbers_in(result.shape)
    codes = frozenset(step.encoded()[0] for step in steps)
    return Program(
        np.array([*code, DONE], np.int64), weights, memory, given, out.place, out.size, result.start, width, codes
    )


def _placed(lives: Mapping[Buffer, Sequence[int]]) -> int:
    """A place for each, at a line's beginning, first fit, the largest first; how much they take together."""
    placed: list[Buffer] = []
    memory = LINE
    for one in sorted(lives, key=lambda b: -b.size):
        one.size += one.size % 2  # words of signs begin at whole words in every row
        begin = 0
        beside = [b for b in placed if lives[b][0] <= lives[one][1] and lives[one][0] <= lives[b][1]]
        for other in sorted(beside, key=lambda b: b.place):
            if begin + one.size <= other.place:
                break
            begin = max(begin, -(-(other.place + other.size) // LINE) * LINE)
        one.place = begin
        placed.append(one)
        memory = max(memory, begin + one.size)
    return memory
