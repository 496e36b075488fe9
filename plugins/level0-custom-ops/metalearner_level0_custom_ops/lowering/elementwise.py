"""Operations that give a number for each place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..layout import Tensor, constant
from ..steps import Unsupported
from .graph import Chosen, Lowering, given, operation

# Those that are one step.
ONE = {
    "Neg": "negate", "Abs": "absolute", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Reciprocal": "reciprocal", "Relu": "relu",
    "Sigmoid": "sigmoid", "Tanh": "tanh", "Erf": "erf", "Floor": "floor", "Round": "round", "Not": "not", "Sign": "sign",
    "Softplus": "softplus", "Sin": "sine", "Cos": "cosine", "IsNaN": "is_nan",
}  # fmt: skip
TWO = {
    "Add": "plus", "Sub": "minus", "Mul": "times", "Div": "over", "Pow": "power", "Less": "less", "Greater": "greater",
    "GreaterOrEqual": "at_least", "LessOrEqual": "at_most", "Equal": "same", "And": "both", "Or": "either", "Max": "larger",
    "Min": "smaller", "Sum": "plus",
}  # fmt: skip
SAME = ("Identity", "Dropout")


@operation(*ONE)
def _one(low: Lowering, node: Any, _: Any) -> Tensor:
    return low.map(ONE[node.op_type], low.tensor(node.input[0]))


@operation(*TWO)
def _two(low: Lowering, node: Any, _: Any) -> Tensor | None:
    kind = TWO[node.op_type]
    found = low.tensor(node.input[0])
    if kind == "at_least" and found.array is None and (least := low.tensor(node.input[1])).array is not None:
        low.compared[node.output[0]] = (found, least)
        return None
    for name in node.input[1:]:
        found = low.map(kind, found, low.tensor(name))
    return found


@operation(*SAME, "Cast")
def _same(low: Lowering, node: Any, said: Any) -> Tensor | None:
    """Numbers are float32 whatever they are called; whole ones come from a cast toward zero."""
    if node.input[0] in low.signs:
        low.signs[node.output[0]] = low.signs[node.input[0]]
        return None
    t = low.tensor(node.input[0])
    if node.op_type == "Cast" and said.get("to") in (6, 7) and t.array is None:
        return low.map("times", low.map("floor", low.map("absolute", t)), low.map("sign", t))
    return t


@operation("IsInf")
def _is_infinite(low: Lowering, node: Any, _: Any) -> Tensor:
    return low.map("same", low.map("absolute", low.tensor(node.input[0])), constant(np.float32(np.inf)))


@operation("Clip")
def _clip(low: Lowering, node: Any, said: Any) -> Tensor:
    found = low.tensor(node.input[0])
    for i, (kind, name) in enumerate((("larger", "min"), ("smaller", "max")), 1):
        if given(node, i) or name in said:
            bound = low.tensor(node.input[i]) if given(node, i) else constant(np.float32(said[name]))
            found = low.map(kind, found, bound)
    return found


@operation("Where")
def _where(low: Lowering, node: Any, _: Any) -> Tensor | None:
    if node.input[0] in low.compared:
        up, down = (low.tensor(name).array for name in node.input[1:])
        if up is not None and down is not None and up.size == down.size == 1 and (up.item(), down.item()) == (1, -1):
            low.signs[node.output[0]] = Chosen(*low.compared[node.input[0]])
            return None
    return low.map("choose", *(low.tensor(name) for name in node.input))


@operation("LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "HardSigmoid", "HardSwish", "Gelu", "Mish")
def _bent(low: Lowering, node: Any, said: Any) -> Tensor:
    """Activations made of simpler ones."""
    x, kind = low.tensor(node.input[0]), node.op_type
    say = lambda value: constant(np.float32(value))  # noqa: E731
    if kind in ("LeakyRelu", "PRelu"):
        slope = low.tensor(node.input[1]) if kind == "PRelu" else say(said.get("alpha", 0.01))
        return low.map("choose", low.map("greater", x, say(0)), x, low.map("times", x, slope))
    if kind in ("Elu", "Selu", "Celu"):
        alpha = said.get("alpha", 1.6732632 if kind == "Selu" else 1.0)
        scale = said.get("gamma", 1.0507010) if kind == "Selu" else 1.0
        inner = low.map("over", x, say(alpha)) if kind == "Celu" else x
        below = low.map(
            "times", low.map("minus", low.map("exp", low.map("smaller", inner, say(0))), say(1)), say(alpha)
        )
        return low.map("times", low.map("choose", low.map("greater", x, say(0)), x, below), say(scale))
    if kind == "HardSigmoid":
        line = low.map("plus", low.map("times", x, say(said.get("alpha", 0.2))), say(said.get("beta", 0.5)))
        return low.map("smaller", low.map("larger", line, say(0)), say(1))
    if kind == "HardSwish":
        return low.map("times", x, low.map("hardsigmoid", x))
    if kind == "Mish":
        return low.map("times", x, low.map("tanh", low.map("softplus", x)))
    if said.get("approximate", b"none") not in (b"none", "none"):
        raise Unsupported("an approximate Gelu")
    half = low.map("plus", low.map("erf", low.map("times", x, say(math.sqrt(0.5)))), say(1))
    return low.map("times", low.map("times", x, half), say(0.5))
