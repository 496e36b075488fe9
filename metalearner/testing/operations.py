"""Operations of torch that no framework has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def check_operation(
    operation: Any,
    draw: Callable[[np.random.Generator], tuple[Any, ...]],
    fallback: Callable[..., Any],
    formula: Callable[..., Any] | None = None,
    tolerance: float = 0.0,
    rounds: int = 32,
) -> None:
    """An operation of torch gives what its fallback gives, has the shapes it says, and the gradient of a formula.

    `draw` makes arguments, the first a float tensor of rows that do not depend on each other. `fallback` takes the same
    arguments; what it gives, a tensor or an array, is equal to the last bit or within `tolerance`. `formula` is the same in
    torch's own operations, of which the gradient is known: where numbers are rounded, straight through what rounds them.
    Without one the operation's gradient is compared with differences (gradcheck, so it has to take float64).
    """
    import torch

    rng = np.random.default_rng(0)
    for i in range(rounds):
        given = draw(rng)
        found = operation(*given)
        _same_numbers(
            found, fallback(*given), tolerance, f"the fallback gives other numbers than {operation} on {_shown(given)}"
        )
        if i < 2:  # its schema, its shapes on no device, and that it can be traced with its gradient
            torch.library.opcheck(operation, tuple(_leaf(a) for a in given))
        _check_gradient(operation, formula, given)
        _check_unusual(operation, fallback, given, tolerance)


def _check_gradient(operation: Any, formula: Callable[..., Any] | None, given: tuple[Any, ...]) -> None:
    """Of every float tensor."""
    import torch

    if formula is None:
        double = [_leaf(a.double()) if _floats(a) else a for a in given]
        assert torch.autograd.gradcheck(operation, double), f"the gradient of {operation} is not that of differences"
        return
    gradients = []
    for way in (operation, formula):
        leaves = tuple(_leaf(a) for a in given)
        out = way(*leaves)
        weight = torch.linspace(-1.0, 1.0, out.numel(), dtype=out.dtype).reshape(out.shape)
        wanted = [a for a in leaves if _floats(a)]
        gradients.append(torch.autograd.grad((out * weight).sum(), wanted))
    for mine, other in zip(*gradients):
        close = torch.allclose(mine, other, rtol=1e-4, atol=1e-5)
        assert close, f"the gradient of {operation} is not that of its formula on {_shown(given)}"


def _check_unusual(operation: Any, fallback: Callable[..., Any], given: tuple[Any, ...], tolerance: float) -> None:
    """Memory in another order changes nothing, a row stands alone, no rows give none, NaN gives what the fallback gives."""
    import torch

    out, rows, others = operation(*given), given[0], given[1:]
    apart = tuple(torch.stack([a, a], -1)[..., 0] if isinstance(a, torch.Tensor) else a for a in given)
    _same_numbers(operation(*apart), out, tolerance, f"{operation} depends on how its arguments lie in memory")
    _same_numbers(operation(rows[:1], *others), out[:1], tolerance, f"a row of {operation} depends on the others")
    none = operation(rows[:0], *others)
    assert none.shape == (0, *out.shape[1:]), f"of no rows {operation} gives {tuple(none.shape)}"
    for bad in (float("nan"), float("inf"), -float("inf")):
        broken = (rows.clone(), *others)
        broken[0].view(-1)[:: max(1, rows.numel() // 7)] = bad
        said = f"the fallback gives other numbers than {operation} where some are {bad}"
        _same_numbers(operation(*broken), fallback(*broken), tolerance, said)


def _same_numbers(found: Any, wanted: Any, tolerance: float, said: str) -> None:
    import torch

    wanted = torch.as_tensor(wanted)
    assert found.shape == wanted.shape and found.dtype == wanted.dtype, (
        f"{said}: {found.dtype} {tuple(found.shape)}, {wanted.dtype} {tuple(wanted.shape)}"
    )
    assert torch.allclose(found, wanted, rtol=tolerance, atol=tolerance, equal_nan=True), said


def _leaf(a: Any) -> Any:
    """A tensor of its own that takes a gradient, where it may."""
    return a.detach().clone().requires_grad_() if _floats(a) else a


def _floats(a: Any) -> bool:
    import torch

    return isinstance(a, torch.Tensor) and a.is_floating_point()


def _shown(given: tuple[Any, ...]) -> str:
    return ", ".join(str(tuple(a.shape)) if hasattr(a, "shape") else str(a) for a in given)
