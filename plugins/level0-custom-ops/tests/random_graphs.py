"""Small networks in ONNX, drawn at random: a chain of operations over (batch, ...), with constants beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MOST = 3000  # numbers a row


@dataclass
class Graph:
    """What has been written so far; `shape` is of the last result, without the batch."""

    rng: np.random.Generator
    begin: tuple[int, ...]  # of what comes in
    shape: tuple[int, ...]
    nodes: list[Any] = field(default_factory=list)
    known: list[Any] = field(default_factory=list)
    last: str = "v.values"
    count: int = 0

    def constant(self, array: np.ndarray) -> str:
        """The name of a new initializer."""
        self.count += 1
        self.known.append(numpy_helper.from_array(array, f"c{self.count}"))
        return f"c{self.count}"

    def numbers(self, *shape: int) -> str:
        """Random ones."""
        return self.constant((self.rng.normal(size=shape) * 0.7).astype(np.float32))

    def whole(self, *values: int) -> str:
        """Sizes and axes."""
        return self.constant(np.array(values, np.int64))

    def put(self, kind: str, *given: str, **said: Any) -> str:
        """A node; its result's name."""
        self.count += 1
        out = f"t{self.count}"
        self.nodes.append(helper.make_node(kind, list(given), [out], **said))
        self.last = out
        return out

    def model(self) -> bytes:
        """With its result flat."""
        self.put("Flatten", self.last, axis=1)
        value = helper.make_tensor_value_info
        took = value("v.values", TensorProto.FLOAT, ["batch", *self.begin])
        gave = value(self.last, TensorProto.FLOAT, ["batch", int(np.prod(self.shape))])
        graph = helper.make_graph(self.nodes, "drawn", [took], [gave], self.known)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(made)
        return made.SerializeToString()


Change = Callable[[Graph], bool]  # False where it does not fit


def one(g: Graph) -> bool:
    kind = g.rng.choice(["Neg", "Abs", "Sigmoid", "Tanh", "Relu", "Erf", "Softplus", "Sin", "Cos", "Identity",
                         "LeakyRelu", "Elu", "Selu", "Celu", "HardSigmoid", "HardSwish", "Mish"])  # fmt: skip
    if kind in ("Sin", "Cos"):  # of large numbers they say nothing
        g.put("Tanh", g.last)
    g.put(str(kind), g.last)
    return True


def two(g: Graph) -> bool:
    """With a constant that is repeated along some axes, or with itself."""
    kind = str(g.rng.choice(["Add", "Sub", "Mul", "Max", "Min"]))
    shape = tuple(n if g.rng.random() < 0.6 else 1 for n in g.shape)
    other = g.numbers(*shape[int(g.rng.integers(0, len(shape))) :]) if g.rng.random() < 0.8 else g.last
    given = [g.last, other]
    g.put(kind, *(given if g.rng.random() < 0.7 else given[::-1]))
    return True


def choose(g: Graph) -> bool:
    up = g.put(str(g.rng.choice(["Greater", "GreaterOrEqual", "Less"])), before := g.last, g.numbers(g.shape[-1]))
    g.put("Where", up, before, g.constant(np.float32(0.5)))
    return True


def transpose(g: Graph) -> bool:
    order = g.rng.permutation(len(g.shape))
    g.put("Transpose", g.last, perm=[0, *(1 + order).tolist()])
    g.shape = tuple(g.shape[i] for i in order)
    return True


def reshape(g: Graph) -> bool:
    """Axes put together, or one cut in two."""
    i = int(g.rng.integers(0, len(g.shape)))
    if len(g.shape) > 1 and g.rng.random() < 0.5:
        i = min(i, len(g.shape) - 2)
        g.shape = (*g.shape[:i], g.shape[i] * g.shape[i + 1], *g.shape[i + 2 :])
    else:
        parts = [n for n in (2, 3) if g.shape[i] % n == 0]
        if not parts or len(g.shape) > 3:
            return False
        g.shape = (*g.shape[:i], parts[0], g.shape[i] // parts[0], *g.shape[i + 1 :])
    g.put("Reshape", g.last, g.whole(-1 if g.rng.random() < 0.5 else 0, *g.shape))
    return True


def piece(g: Graph) -> bool:
    """A slice with a step, or places by number."""
    i = int(g.rng.integers(0, len(g.shape)))
    n = g.shape[i]
    if n < 3:
        return False
    if g.rng.random() < 0.5:
        begin, step = int(g.rng.integers(0, n - 1)), int(g.rng.integers(1, 3))
        g.put("Slice", g.last, g.whole(begin), g.whole(n), g.whole(i + 1), g.whole(step))
        many = len(range(begin, n, step))
    else:
        places = g.rng.integers(0, n, int(g.rng.integers(1, 5)))
        g.put("Gather", g.last, g.whole(*places.tolist()), axis=i + 1)
        many = len(places)
    g.shape = (*g.shape[:i], many, *g.shape[i + 1 :])
    return True


def beside(g: Graph) -> bool:
    i, before = int(g.rng.integers(0, len(g.shape))), g.last
    other = g.put("Tanh", before)
    g.put("Concat", before, other, axis=i + 1)
    g.shape = (*g.shape[:i], 2 * g.shape[i], *g.shape[i + 1 :])
    return True


def pad(g: Graph) -> bool:
    around = [int(n) for n in g.rng.integers(0, 3, 2 * len(g.shape))]
    rank = len(g.shape)
    g.put(
        "Pad", g.last, g.whole(0, *around[:rank], 0, *around[rank:]), g.constant(np.float32(g.rng.choice([0, -1, 2])))
    )
    g.shape = tuple(n + a + b for n, a, b in zip(g.shape, around[:rank], around[rank:]))
    return True


def total(g: Graph) -> bool:
    if len(g.shape) < 2:
        return False
    i, keep = int(g.rng.integers(0, len(g.shape))), int(g.rng.integers(0, 2))
    kind = str(g.rng.choice(["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2"]))
    g.put(kind, g.last, g.whole(i + 1), keepdims=keep)
    g.shape = (*g.shape[:i], *((1,) if keep else ()), *g.shape[i + 1 :])
    return True


def soft(g: Graph) -> bool:
    kind = str(g.rng.choice(["Softmax", "LogSoftmax"]))
    g.put(kind, g.last, axis=int(g.rng.integers(1, len(g.shape) + 1)))
    return True


def norm(g: Graph) -> bool:
    n = g.shape[-1]
    if g.rng.random() < 0.5 or len(g.shape) < 2:
        g.put("LayerNormalization", g.last, g.numbers(n), g.numbers(n), axis=-1, epsilon=0.1)
    else:
        c = g.shape[0]
        spread = g.constant(g.rng.uniform(0.5, 2, c).astype(np.float32))
        g.put("BatchNormalization", g.last, g.numbers(c), g.numbers(c), g.numbers(c), spread)
    return True


def matmul(g: Graph) -> bool:
    wide = int(g.rng.integers(1, 12))
    g.put("MatMul", g.last, g.numbers(g.shape[-1], wide))
    g.shape = (*g.shape[:-1], wide)
    return True


def self_product(g: Graph) -> bool:
    """As attention has it: (..., t, c) by (..., c, t)."""
    if len(g.shape) < 2 or g.shape[-2] > 20:
        return False
    order = [*range(len(g.shape) - 1), len(g.shape), len(g.shape) - 1]
    before = g.last
    g.put("MatMul", before, g.put("Transpose", before, perm=order))
    g.shape = (*g.shape[:-1], g.shape[-2])
    return True


def gemm(g: Graph) -> bool:
    if len(g.shape) != 1:
        return False
    wide = int(g.rng.integers(1, 20))
    g.put("Gemm", g.last, g.numbers(wide, g.shape[0]), g.numbers(wide), transB=1)
    g.shape = (wide,)
    return True


def windows(g: Graph) -> tuple[list[int], ...] | None:
    """Kernel, stride, padding, dilation and size after, for (channels, size...)."""
    if len(g.shape) not in (2, 3):
        return None
    sizes = g.shape[1:]
    kernel = [int(g.rng.integers(1, min(4, n) + 1)) for n in sizes]
    dilation = [int(g.rng.integers(1, 3)) if (k - 1) * 2 < n else 1 for k, n in zip(kernel, sizes)]
    stride = [int(g.rng.integers(1, 3)) for _ in sizes]
    around = [int(g.rng.integers(0, max(1, k))) for k in kernel]
    after = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in zip(sizes, around, dilation, kernel, stride)]
    return kernel, stride, around, dilation, after


def conv(g: Graph) -> bool:
    how = windows(g)
    if how is None or min(how[4]) < 1:
        return False
    kernel, stride, around, dilation, after = how
    groups = int(g.rng.choice([n for n in (1, 2, 3, g.shape[0]) if g.shape[0] % n == 0]))
    outputs = groups * int(g.rng.integers(1, 5))
    weight = g.numbers(outputs, g.shape[0] // groups, *kernel)
    g.put("Conv", g.last, weight, g.numbers(outputs), strides=stride, pads=around * 2, dilations=dilation, group=groups)
    g.shape = (outputs, *after)
    return True


def pool(g: Graph) -> bool:
    how = windows(g)
    if how is None or min(how[4]) < 1:
        return False
    kernel, stride, around, _, _ = how
    around = [min(p, k // 2) for p, k in zip(around, kernel)]
    after = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(g.shape[1:], around, kernel, stride)]
    kind = str(g.rng.choice(["MaxPool", "AveragePool"]))
    said = {"count_include_pad": int(g.rng.integers(0, 2))} if kind == "AveragePool" else {}
    g.put(kind, g.last, kernel_shape=kernel, strides=stride, pads=around * 2, **said)
    g.shape = (g.shape[0], *after)
    return True


def binary(g: Graph) -> bool:
    """Signs by signs, outside of which all is -1."""
    if len(g.shape) != 3:
        return False
    how = windows(g)
    if how is None or min(how[4]) < 1:
        return False
    kernel, stride, around, dilation, after = how
    threshold = g.constant((g.rng.normal(size=(g.shape[0], 1, 1)) * 0.3).astype(np.float32))
    up = g.put("GreaterOrEqual", g.last, threshold)
    ones = g.put("Where", up, g.constant(np.float32(1)), g.constant(np.float32(-1)))
    padded = g.put("Pad", ones, g.whole(0, 0, *around, 0, 0, *around), g.constant(np.float32(-1)))
    outputs = int(g.rng.choice([3, 8, 17]))
    weight = np.where(g.rng.random((outputs, g.shape[0], *kernel)) < 0.5, np.float32(1), np.float32(-1))
    g.put("Conv", padded, g.constant(weight), strides=stride, dilations=dilation)
    g.shape = (outputs, *after)
    if g.rng.random() < 0.7:
        g.put("Mul", g.last, g.numbers(outputs, 1, 1))
        g.put("Add", g.last, g.numbers(outputs, 1, 1))
    return True


def embed(g: Graph) -> bool:
    """Rows of a table by numbers that depend on the data."""
    wide = int(g.rng.integers(1, 4))
    if np.prod(g.shape) * wide > MOST:
        return False
    between = g.put("Add", g.put("Mul", g.last, g.constant(np.float32(1.7))), g.constant(np.float32(0.41)))
    inside = g.put("Clip", g.put("Abs", between), g.constant(np.float32(0)), g.constant(np.float32(4)))
    g.put("Gather", g.numbers(5, wide), g.put("Cast", inside, to=TensorProto.INT64), axis=0)
    g.shape = (*g.shape, wide)
    return len(g.shape) < 5


CHANGES: tuple[Change, ...] = (
    one, two, choose, transpose, reshape, piece, beside, pad, total, soft, norm, matmul, self_product, gemm, conv, pool, binary,
    embed,
)  # fmt: skip


def drawn(seed: int) -> tuple[bytes, tuple[int, ...]]:
    """ONNX of a network, and the shape of a row that it takes."""
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, 4))
    begin = tuple(int(n) for n in rng.integers(1, (31, 13, 9)[rank - 1], rank))
    g = Graph(rng, begin, begin)
    for _ in range(int(rng.integers(2, 9))):
        change = CHANGES[int(rng.integers(0, len(CHANGES)))]
        change(g)
        if np.prod(g.shape) > MOST:
            break
    return g.model(), begin
