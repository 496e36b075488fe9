"""Conformance suites for plugin authors: each checks one kind against its contract.

They raise AssertionError with a sentence that says which promise was broken. The project runs them over
everything it brings; run them over yours:

    from metalearner.testing import check_production
    check_production(MyBlock(), View((Axis("time", 64),), 3))
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import grammar
from .arrays import Fields, Tensors, rows_of
from .dataset import Dataset
from .grammar.derivation import FUEL, Deriver
from .grammar.types import Typed
from .kinds import Aim, Learner, Loss, Metric, Modality, Output, Production, Rung, Source, Transform
from .kinds.data import CELL_FORMS
from .records import Config, Schema, View, plain


def check_modality(modality: Modality, source: Source, foreign: Source = "nothing-of-the-kind") -> Schema:
    """A modality recognises its source, reads it the same way twice, and leaves others alone."""
    schema = modality.sniff(source)
    assert schema is not None, f"{modality.name} does not recognise its own source"
    assert schema.modality == modality.name, f"the schema names modality '{schema.modality}'"
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema, "the schema does not survive JSON"
    assert modality.sniff(foreign) is None, f"{modality.name} claims {foreign!r}"
    first, again = (Fields.concat(list(modality.decode(source, schema))) for _ in range(2))
    assert first.rows > 0, "no rows were decoded"
    assert set(first) <= set(schema.names), f"columns {set(first) - set(schema.names)} are not in the schema"
    for name in first:
        assert _equal(first[name], again[name]), f"column '{name}' differs between two readings"
    assert modality.views(schema), "a modality has at least one view"
    cells = modality.cells(schema)
    assert set(cells) <= set(schema.names), f"cells {set(cells) - set(schema.names)} are not in the schema"
    assert all(c.form in CELL_FORMS for c in cells.values()), f"a cell's form is one of {', '.join(CELL_FORMS)}"
    features = modality.features(first, schema)
    assert all(len(v) == first.rows for v in features.values()), "features have one value a row"
    return schema


def check_transform(transform: Transform, fields: Fields, schema: Schema) -> None:
    """A transform's state is JSON, and its tensors have the views it says."""
    state = transform.fit(fields, schema)
    revived = json.loads(json.dumps(plain(state)))
    tensors, again = transform.apply(state, fields), transform.apply(revived, fields)
    for name, view in transform.views(revived).items():
        values = tensors[name].values
        assert values.dtype == np.float32, f"view '{name}' is {values.dtype}, not float32"
        assert values.shape == (fields.rows, *view.shape), f"view '{name}' is {values.shape}, not {view.shape}"
        assert np.array_equal(values, again[name].values, equal_nan=True), (
            "a state read back from JSON gives other tensors"
        )
        codes = tensors[name].codes
        if view.cardinalities:
            assert codes is not None and np.all(codes < np.array(view.cardinalities)), (
                "codes exceed their cardinalities"
            )
    empty = transform.apply(state, fields.take(np.array([], int)))
    assert rows_of(empty) == 0, "no rows in, no rows out"
    one = transform.apply(state, fields.take(np.array([0])))
    for name in transform.views(state):
        same = np.array_equal(one[name].values[0], tensors[name].values[0], equal_nan=True)
        assert same, "a row's tensor depends on the other rows"


def check_output(output: Output, target: np.ndarray, kind: str) -> None:
    """An output claims its target, encodes it, and keeps its promises on predictions."""
    assert output.claims(target, kind) > 0, f"{output.name} does not claim its own target"
    state = json.loads(json.dumps(plain(output.fit(target))))
    encoded = output.encode(state, target)
    naive = output.baseline(state, encoded, len(target))
    assert naive.shape[0] == len(target), "the baseline has one prediction a row"
    merged = output.merge([naive, naive], [0.5, 0.5])
    assert np.allclose(merged, naive), "merging equal predictions changes them"
    raw = np.random.default_rng(0).normal(size=(len(target), output.width(state)))
    prediction = output.activate(state, raw)
    calibration = output.calibrate(state, prediction, encoded)
    assert output.calibrated(calibration, prediction).shape == prediction.shape, "calibration changes the shape"
    conformal = json.loads(json.dumps(plain(output.conform(state, prediction, encoded, 0.9))))
    assert len(output.regions(conformal, state, prediction)) == len(target), "one region a row"
    covered = output.covers(conformal, state, prediction, encoded)
    if covered is not None:
        assert covered.shape == (len(target),) and covered.dtype == bool, "a row's target is covered or it is not"
        assert covered.mean() >= 0.9, "regions cover fewer than promised of the very rows that they were fitted on"
    table = output.table(state, prediction)
    assert "prediction" in table and all(len(c) == len(target) for c in table.values()), "one prediction a row"
    assert len(output.strata(encoded)) == len(target), "one stratum a row"


def check_metric(metric: Metric, target: np.ndarray, naive: np.ndarray, state: Mapping[str, object]) -> None:
    """A metric gives a number, and skill 0 to the baseline and 1 to perfection."""
    value = metric.score(target, naive, dict(state))
    assert np.isfinite(value), f"{metric.name} of the baseline is {value}"
    if metric.perfect != value:
        assert abs(metric.skill(value, value)) < 1e-9, "the baseline's skill is 0"
        assert abs(metric.skill(metric.perfect, value) - 1) < 1e-9, "perfection's skill is 1"


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

    from .grammar.build import module

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
        with torch.no_grad():
            noisy = built(_padded(given[0], node.view, given[2]), *given[1:])
        assert torch.allclose(together, noisy, atol=1e-4), f"features depend on what lies in the padding in{said}"


def _padded(values: Any, view: View, mask: Any) -> Any:
    """The values with noise where there is no data."""
    import torch

    at = next(i for i, a in enumerate(view.axes) if a.ragged)
    there = mask.reshape(len(mask), *(a.size if i == at else 1 for i, a in enumerate(view.axes)), 1)
    return torch.where(there, values, torch.randn_like(values))


def _inputs(symbol: str, view: View, rows: int, seed: int) -> tuple[Any, ...]:
    """What modules of this symbol take: a view of the data, or features and mask inside an encoder."""
    values, codes, mask = random_inputs(view, rows, seed)
    if symbol in ("encoder", "tokeniser"):
        return values.requires_grad_(), codes, mask
    return values.nan_to_num().requires_grad_(), mask


def _features(out: Any) -> Any:
    """The features of what a module gives, alone or with their mask."""
    return out[0] if isinstance(out, tuple) else out


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
        there = mask.reshape(rows, *(size if i == at else 1 for i in range(len(view.shape))))
        values = torch.where(there, values, 0.0)
    return values, codes, mask


def check_loss(loss: Loss, width: int, target: np.ndarray) -> None:
    """A loss is finite, one a row, and has a gradient."""
    import torch

    raw = torch.randn(len(target), width, requires_grad=True)
    found = loss(raw, torch.as_tensor(target))
    assert found.shape == (len(target),), f"{loss.name} gives {tuple(found.shape)} for {len(target)} rows"
    found.mean().backward()
    assert raw.grad is not None and torch.isfinite(raw.grad).all(), f"{loss.name} has no finite gradient"


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


def check_learner(learner: Learner, config: Config, dataset: Dataset, transform: Transform, aim: Aim) -> None:
    """A learner gives one model a fold, the same again for the same seed, and reads back what it saved."""
    folds = [dataset.fold(i, transform) for i in range(len(dataset.folds))]
    assert learner.accepts(folds[0].views, aim.output), f"{learner.name} does not accept {folds[0].views}"
    fitted, again = (next(iter(learner.fit([config], folds, aim, Rung(0.3, seed=3), [None]))) for _ in range(2))
    assert len(fitted.models) == len(folds), "one model a fold"
    for fold, model, twin in zip(folds, fitted.models, again.models):
        prediction = model.predict(fold.valid)
        assert len(prediction) == rows_of(fold.valid) and np.isfinite(prediction).all(), (
            "a prediction is missing or not finite"
        )
        assert np.allclose(prediction, twin.predict(fold.valid), atol=1e-6), "the same seed gives another model"
        first = {k: t.take(np.arange(1)) for k, t in fold.valid.items()}
        assert np.allclose(model.predict(first), prediction[:1], atol=1e-5), "a row's prediction depends on its batch"
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder))
            kept = {f.suffix for f in Path(folder).rglob("*")}
            assert not kept & {".pkl", ".pickle", ".pt", ".joblib"}, f"something was pickled: {kept}"
            revived: Tensors = fold.valid
            assert np.allclose(learner.load(Path(folder), aim).predict(revived), prediction, atol=1e-6), (
                "it predicts otherwise once read back"
            )


def _equal(a, b) -> bool:  # type: ignore[no-untyped-def]
    if hasattr(a, "offsets"):
        return np.array_equal(a.offsets, b.offsets) and np.array_equal(a.values, b.values, equal_nan=True)
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
