"""Blocks of the grammar, built and run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import grammar
from ..grammar.derivation import FUEL, Deriver
from ..grammar.types import Productions, Typed
from ..kinds import Production
from ..records import Config, View


def check_production(
    production: Production, view: View, seed: int = 0, productions: Mapping[str, Production] | None = None
) -> None:
    """A production of any symbol keeps its promises on a view it accepts, at its defaults and at random numbers.

    What is derived from it passes the grammar's checks, gives the view it says, is finite forward and backward, and
    gives each row what it gives it alone, whatever lies in the padding. `productions` are those that its parts are
    drawn from. Of what builds nothing, roots and recipes, only numbers and slots are checked.
    """
    among = {**(productions or {}), production.name: production}
    _check_numbers(production)
    if type(production).build is Production.build and type(production).expand is Production.expand:
        return
    assert production.accepts(view), f"{production.name} does not accept {view}"
    if production.symbol == "fusion":
        _check_fusion(production, view, seed)
        return
    deriver = Deriver(among, np.random.default_rng(seed))
    for simple in (True, False):
        deriver.fuel = FUEL
        found = next((n for n in (deriver.node(production, view, 0, simple) for _ in range(8)) if n is not None), None)
        assert found is not None, (
            f"nothing that begins with {production.name} fits {grammar.shown(view)}, which it accepts"
        )
        _check_node(found, seed, among)


def _check_fusion(production: Production, view: View, seed: int) -> None:
    """What it binds is what it gives, of any number of views and members; rows stand alone."""
    import torch

    torch.manual_seed(seed)
    for widths in ((3,), (5, 2, 4)):
        built: Any = production.build({n: r.default for n, r in production.space().items()}, view, {})
        width = built.bind(list(widths))
        given = [torch.randn(4, 2, w) for w in widths]
        found = built.eval()(given)
        assert found.shape == (4, 2, width), f"{production.name} gives {tuple(found.shape)} and bound {width}"
        assert torch.isfinite(found).all(), f"{production.name} gives what is not finite"
        alone = built([g[:1] for g in given])
        assert torch.allclose(found[:1], alone, atol=1e-5), (
            f"a row's features depend on the other rows in {production.name}"
        )


def _check_numbers(production: Production) -> None:
    """Defaults lie in their ranges, and loose numbers exist."""
    defaults = {n: r.default for n, r in production.space().items()}
    outside = [n for n, r in production.space().items() if not r.holds(r.default)]
    assert not outside, f"the defaults of {production.name} are out of range: {outside} of {defaults}"
    assert set(production.loose) <= set(defaults), (
        f"{production.name} has no numbers {set(production.loose) - set(defaults)}"
    )
    assert production.flow in ("series", "parallel"), f"{production.name} flows in '{production.flow}'"
    for slot, takes in production.parts.items():
        assert 0 <= takes.least <= takes.most and takes.most > 0, f"slot '{slot}' takes {takes.least} to {takes.most}"


def _check_node(node: Typed, seed: int, productions: Mapping[str, Production]) -> None:
    """One typed node: valid, with the view it says, finite, rows independent of each other and of their padding."""
    import torch

    from ..grammar.build import module

    said = f"\n{grammar.outline(node.said, productions)}\non {grammar.shown(node.view)}"
    for config in (node.said, node.meant):
        assert not grammar.check(config, productions), f"{grammar.check(config, productions)} in{said}"
    assert Config.from_json(json.loads(json.dumps(node.said.to_json()))) == node.said, f"JSON changes{said}"
    torch.manual_seed(seed)
    built: Any = module(node.said, node.view, productions)
    symbol = productions[node.said.production].symbol
    given = _inputs(symbol, node.view, 5, seed)
    found = _features(built(*given))
    if symbol == "encoder":
        assert found.shape[0] == 5 and found.shape[-1] == built.width, (
            f"{tuple(found.shape)} is not {built.width} wide:{said}"
        )
        assert found.dim() == (3 if built.members > 1 else 2), f"members make a third axis:{said}"
    else:
        assert found.shape == (5, *node.gives.shape), f"gives {tuple(found.shape)}, not {node.gives.shape}:{said}"
    found.square().mean().backward()
    gradients = [p.grad for p in (*built.parameters(), given[0]) if p.grad is not None]
    assert all(torch.isfinite(g).all() for g in gradients), f"a gradient is not finite in{said}"
    built.eval()
    with torch.no_grad():
        together = _features(built(*given))
        alone = _features(built(*(None if t is None else t[:1] for t in given)))
    assert torch.isfinite(together).all(), f"features are not finite in{said}"
    assert torch.allclose(together[:1], alone, atol=1e-4), f"a row's features depend on the other rows in{said}"
    if symbol == "encoder" and given[2] is not None:
        noise = torch.where(lying(node.view, given[0], given[2]), given[0], torch.randn_like(given[0]))
        with torch.no_grad():
            noisy = built(noise, *given[1:])
        assert torch.allclose(together, noisy, atol=1e-4), f"features depend on what lies in the padding in{said}"


def check_features(config: Config, view: View, productions: Productions, tolerance: float = 1e-4) -> Any:
    """What stands inside an encoder gives the view it says for rows of every length, finite, with finite gradients.

    While it rests each row gets what it gets alone, whatever lies in the padding, up to `tolerance` (0: to the last bit). Returns
    the module, with the gradients of one step.
    """
    import torch

    from ..grammar.build import module

    said = f"\n{grammar.outline(config, productions)}\non {grammar.shown(view)}"
    gives = grammar.flow(config, view, productions)
    values, _, mask = rows_of_lengths(view)
    torch.manual_seed(0)
    built: Any = module(config, view, productions).train()
    leaf = values.clone().requires_grad_()
    found, left = _with_mask(built(leaf, mask))
    assert found.shape == (len(values), *gives.shape), f"gives {tuple(found.shape)}, not {gives.shape}:{said}"
    if left is not None:
        assert left.shape[1:] == tuple(a.size for a in gives.axes if a.ragged), (
            f"the mask is {tuple(left.shape)}:{said}"
        )
    assert torch.isfinite(found).all(), f"features are not finite in{said}"
    seen = lying(gives, found, left)
    found[seen].square().sum().backward()
    gradients = [leaf.grad, *(p.grad for p in built.parameters() if p.grad is not None)]
    assert all(torch.isfinite(g).all() for g in gradients), f"a gradient is not finite in{said}"
    built.eval()
    with torch.no_grad():
        whole = torch.where(seen, _features(built(values, mask)), 0.0)
        loud = torch.where(lying(view, values, mask), values, 50.0)
        noisy = torch.where(seen, _features(built(loud, mask)), 0.0)
        assert torch.allclose(whole, noisy, rtol=tolerance, atol=tolerance), f"what lies in the padding counts in{said}"
        for i in (0, 1, len(values) - 1):
            alone = _features(built(values[i : i + 1], None if mask is None else mask[i : i + 1]))
            same = torch.allclose(whole[i], torch.where(seen[i], alone[0], 0.0), rtol=tolerance, atol=tolerance)
            assert same, f"a row's features depend on the other rows in{said}"
    return built


def _inputs(symbol: str, view: View, rows: int, seed: int) -> tuple[Any, ...]:
    """What modules of this symbol take: a view of the data, or features and mask inside an encoder."""
    values, codes, mask = random_inputs(view, rows, seed)
    if symbol in ("encoder", "tokeniser"):
        return values.requires_grad_(), codes, mask
    return values.nan_to_num().requires_grad_(), mask


def _with_mask(out: Any) -> tuple[Any, Any]:
    """The features of what a module gives, and their mask if it gives one."""
    return out if isinstance(out, tuple) else (out, None)


def _features(out: Any) -> Any:
    return _with_mask(out)[0]


def lying(view: View, values: Any, mask: Any) -> Any:
    """True where values (B, axes..., C) of a view are data and not padding."""
    import torch

    at = next((i for i, a in enumerate(view.axes) if a.ragged), None)
    if mask is None or at is None:
        return torch.ones_like(values, dtype=torch.bool)
    shape = [a.size if i == at else 1 for i, a in enumerate(view.axes)]
    return mask.reshape(len(mask), *shape, 1).expand(values.shape)


def rows_of_lengths(view: View, rows: int = 5, missing: float = 0.0):  # type: ignore[no-untyped-def]
    """Torch (values, codes, mask) for a view, a share of the values missing.

    Where lengths differ the first row is empty, the second has one step, the third is full; the padding holds numbers, too.
    """
    import torch

    rng = np.random.default_rng(1)
    values = rng.normal(size=(rows, *view.shape)).astype(np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    codes = mask = None
    if view.cardinalities:
        codes = torch.tensor(np.stack([rng.integers(0, c, rows) for c in view.cardinalities], axis=1))
    for size in (a.size for a in view.axes if a.ragged):
        lengths = np.minimum([0, 1, size, *rng.integers(1, size + 1, rows - 3)], size)
        mask = torch.tensor(np.arange(size) < lengths[:, None])
    return torch.tensor(values), codes, mask


def random_inputs(view: View, rows: int, seed: int = 0):  # type: ignore[no-untyped-def]
    """Torch (values, codes, mask) for a view, as transforms give them.

    Missing numbers are NaN, all of the second row's; padding is zero; codes and lengths go from their least to their most.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, *view.shape, generator=generator)
    values[torch.rand(values.shape, generator=generator) < 0.05] = float("nan")
    values[1:2] = float("nan")
    codes = None
    if view.cardinalities:
        codes = torch.stack([torch.randint(c, (rows,), generator=generator) for c in view.cardinalities], 1)
    at = next((i for i, a in enumerate(view.axes) if a.ragged), None)
    mask = None
    if at is not None:
        size = view.axes[at].size
        lengths = torch.randint(1, size + 1, (rows, 1), generator=generator)
        lengths[2:3], lengths[3:4] = 0, size
        mask = torch.arange(size) < lengths
        values = torch.where(lying(view, values, mask), values, 0.0)
    return values, codes, mask
