"""Products of matrices, in all the ways ONNX has for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layout import Tensor, constant
from ..steps import Unsupported
from .graph import Lowering, given, operation


@operation("MatMul")
def _matmul(low: Lowering, node: Any, _: Any) -> Tensor:
    a, b = low.tensor(node.input[0]), low.tensor(node.input[1])
    many = max(len(a.axes), len(b.axes)) - 2
    where: list[tuple[int | None, int | None, str]] = []
    for i in range(many):
        mine, other = i - many + len(a.axes) - 2, i - many + len(b.axes) - 2
        shared = other >= 0 and b.shape[other] != 1
        role = "batch" if shared else "rows"
        where.append((mine if mine >= 0 else None, other if other >= 0 else None, role))
    rank, other_rank = len(a.axes), len(b.axes)
    where += [(rank - 2, None, "rows"), (None, other_rank - 1, "columns"), (rank - 1, other_rank - 2, "sum")]
    return low.contract(a, b, where)


@operation("Gemm")
def _gemm(low: Lowering, node: Any, said: Any) -> Tensor:
    a, b = low.tensor(node.input[0]), low.tensor(node.input[1])
    a = a.transposed((1, 0)) if said.get("transA") else a
    b = b.transposed((1, 0)) if said.get("transB") else b
    found = low.contract(a, b, [(0, None, "rows"), (None, 1, "columns"), (1, 0, "sum")])
    if said.get("alpha", 1.0) != 1.0:
        found = low.map("times", found, constant(np.float32(said["alpha"])))
    if not given(node, 2):
        return found
    plus = low.tensor(node.input[2])
    return low.map(
        "plus",
        found,
        plus if said.get("beta", 1.0) == 1.0 else low.map("times", plus, constant(np.float32(said["beta"]))),
    )


@operation("Einsum")
def _einsum(low: Lowering, node: Any, said: Any) -> Tensor:
    text = said["equation"].decode() if isinstance(said["equation"], bytes) else said["equation"]
    takes, _, gives = text.replace(" ", "").partition("->")
    sides = takes.split(",")
    if len(sides) != 2 or "." in text or any(len(set(s)) != len(s) for s in sides):
        raise Unsupported(f"the product '{text}'")
    a, b = low.tensor(node.input[0]), low.tensor(node.input[1])
    where: list[tuple[int | None, int | None, str]] = []
    for letter in gives + "".join(c for c in sides[0] if c not in gives):
        i = sides[0].index(letter) if letter in sides[0] else None
        j = sides[1].index(letter) if letter in sides[1] else None
        role = (
            "sum"
            if letter not in gives
            else "batch"
            if i is not None and j is not None
            else "rows"
            if j is None
            else "columns"
        )
        where.append((i, j, role))
    if any(c not in gives and c not in sides[0] for c in sides[1]):
        raise Unsupported(f"the product '{text}'")
    return low.contract(a, b, where)
