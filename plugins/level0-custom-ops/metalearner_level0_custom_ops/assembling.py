"""Programs made from ONNX: operations become steps, steps are fused, and whatever they keep gets its place in one block of memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .fusing import fused
from .layout import BATCH, Tensor, constant, numbers_in, whole
from .lowering import OPERATIONS, Lowering
from .program import Input, Program, aligned_copy
from .steps import DONE, Buffer, Constant, Operand, Signs, Step, Unsupported

LINE = 16  # numbers of 4 bytes to which whatever is kept is aligned


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
