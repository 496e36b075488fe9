"""What a network will cost, counted on torch's meta device: nothing is computed, no memory is touched."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, shape_wrapper

from ..errors import PluginError
from ..records import Config, View
from .build import build
from .types import Productions


@dataclass(frozen=True)
class Cost:
    """The size of a network and the work of one row's forward pass."""

    parameters: int
    multiply_adds: int  # of matrix products and convolutions
    activations: int  # numbers written on the way, views not counted
    bytes: int  # of its weights in a bundle; a parameter with an attribute `bits` takes so many of them, others 32


# Allocations write nothing yet.
EMPTY = frozenset((torch.ops.aten.empty, torch.ops.aten.empty_like, torch.ops.aten.new_empty, torch.ops.aten.zeros))
# Functions that give what they take, shape for shape: torch's own account of them on the meta device is slow Python.
# fmt: off
ALIKE = frozenset((
    "relu", "relu_", "relu6", "gelu", "silu", "mish", "selu", "elu", "leaky_relu", "hardswish", "hardsigmoid", "sigmoid", "tanh",
    "softplus", "exp", "log", "sign", "sqrt", "rsqrt", "square", "softmax", "log_softmax", "dropout", "dropout1d", "dropout2d",
    "batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "clone", "contiguous",
))
PAIRED = frozenset((
    "add", "sub", "mul", "div", "maximum", "minimum", "__add__", "__radd__", "__iadd__", "__sub__", "__mul__", "__rmul__",
    "__truediv__",
))
# fmt: on


def _cell(series: torch.Size, within: torch.Size, across: torch.Size, *_: Any, **__: Any) -> int:
    """Operations of a recurrent layer as the CPU runs it: series (T, B, in), weights (4H, in) and (4H, H)."""
    return 2 * series[0] * series[1] * (math.prod(within) + math.prod(across))


COUNTED = {torch.ops.aten.mkldnn_rnn_layer: shape_wrapper(_cell)}
# Products a step of a recurrent cell has for each of its units.
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}


def cost(config: Config, views: Mapping[str, View], width: int, productions: Productions) -> Cost:
    """Build a "net" derivation without memory and push one row through it; `width` numbers come out of its head.

    Raises PluginError when one of its modules has to see what its input holds.
    """
    work = _Work()
    with torch.no_grad():
        with _Unfilled():
            net = build(config, views, width, productions)
        weights = [(p.numel(), getattr(p, "bits", 32)) for p in net.parameters()]
        net = net.to("meta").eval()
        try:
            with torch.device("meta"), _Dispatched(work), _Called(work):
                net([_row(view) for view in views.values()])
        except (RuntimeError, NotImplementedError) as problem:
            raise PluginError(
                f"A network could not be run without memory: {problem}",
                "Modules run from shapes alone; so they export, too.",
                "Choose with torch.where instead of `if`, and compute constants when the module is made.",
            ) from problem
    return Cost(sum(n for n, _ in weights), work.flops // 2, work.written, sum(n * bits for n, bits in weights) // 8)


def multiply_adds(net: torch.nn.Module, inputs: Any) -> int:
    """Multiplications with an addition in one forward pass over these inputs: products, convolutions, attention."""
    work = _Work()
    with torch.no_grad(), _Dispatched(work):
        net(inputs)
    return work.flops // 2


@dataclass
class _Work:
    """Counted so far: floating-point operations of products, and numbers written."""

    flops: int = 0
    written: int = 0

    def wrote(self, out: torch.Tensor) -> torch.Tensor:
        """Count a tensor, and hand it on."""
        self.written += out.numel()
        return out


class _Unfilled(TorchFunctionMode):
    """Weights, which begin empty or random, are made without memory, and so is what meets them; constants are computed."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.empty, torch.rand, torch.randn) and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        if any(isinstance(a, torch.Tensor) and a.is_meta for a in args):
            args = tuple(a.to("meta") if isinstance(a, torch.Tensor) else a for a in args)
        return func(*args, **kwargs)


class _Called(TorchFunctionMode):
    """Answers the commonest calls from their shapes alone; the others go on to the dispatcher."""

    def __init__(self, work: _Work) -> None:
        super().__init__()
        self.work = work

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in ALIKE and args and args[0].is_floating_point():
            return self.work.wrote(torch.empty_like(args[0]))
        if name in PAIRED and len(args) == 2 and not kwargs and _like(*args):
            return self.work.wrote(torch.empty_like(args[0]))
        if name == "linear":
            return self._linear(*args, **(kwargs or {}))
        if name in GATES and isinstance(args[2], tuple | list) and args[0].dim() == 3:  # not packed
            return self._recurrent(GATES[name], *args)
        return func(*args, **(kwargs or {}))

    def _linear(self, x: torch.Tensor, weight: torch.Tensor, bias: Any = None) -> torch.Tensor:
        """x (..., inputs), weight (outputs, inputs) -> (..., outputs)."""
        out = self.work.wrote(x.new_empty((*x.shape[:-1], weight.shape[0])))
        self.work.flops += 2 * out.numel() * weight.shape[1]
        return out

    def _recurrent(self, gates: int, x: torch.Tensor, state: Any, weights: Any, *options: Any) -> Any:
        """A recurrent cell along its series, in products alone; `options` as torch.gru has them."""
        _, layers, _, _, both, first = options
        rows, steps = (x.shape[0], x.shape[1]) if first else (x.shape[1], x.shape[0])
        self.work.flops += 2 * rows * steps * sum(w.numel() for w in weights if w.dim() == 2)
        hidden = weights[1].shape[1]
        wide = hidden * (2 if both else 1)
        self.work.written += rows * steps * layers * wide * (gates + 1)
        out = x.new_empty((*x.shape[:2], wide))
        states = state if isinstance(state, tuple | list) else (state,)
        return (out, *(torch.empty_like(s) for s in states))


class _Dispatched(TorchDispatchMode):
    """Counts everything that reaches the dispatcher."""

    def __init__(self, work: _Work) -> None:
        super().__init__()
        self.work = work

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        # Looked up by then: operations of plugins say what they take when their module is imported, which is while a net is built.
        count = COUNTED.get(packet) or flop_registry.get(packet)
        if count is not None:
            self.work.flops += count(*args, **(kwargs or {}), out_val=out)
        first = out[0] if isinstance(out, tuple | list) and out else out
        if isinstance(first, torch.Tensor) and not func.is_view and packet not in EMPTY:
            self.work.wrote(first)
        return out


def _like(a: Any, b: Any) -> bool:
    """Whether b changes neither the shape nor the type of a."""
    if not isinstance(a, torch.Tensor) or not a.is_floating_point():
        return False
    return isinstance(b, int | float) or (isinstance(b, torch.Tensor) and a.shape == b.shape and a.dtype == b.dtype)


def _row(view: View) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    """(values, codes, mask) of one row, without content."""
    ragged = [axis.size for axis in view.axes if axis.ragged]
    return (
        torch.empty(1, *view.shape),
        torch.empty(1, len(view.cardinalities), dtype=torch.int64) if view.cardinalities else None,
        torch.empty(1, ragged[0], dtype=torch.bool) if ragged else None,
    )
