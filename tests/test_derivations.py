"""Whatever is derived from the installed productions builds, runs, stays finite and exports; 1,000 here, 10,000 with --slow."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch

from metalearner import grammar, plugins, testing
from metalearner.arrays import Tensor
from metalearner.deploy.portable import OnnxModel, prove
from metalearner.errors import PluginError
from metalearner.grammar.build import build
from metalearner.grammar.cost import cost
from metalearner.kinds import Aim, Production
from metalearner.ranges import Int
from metalearner.records import Axis, Config, View
from metalearner.setting import Setting
from metalearner.train.model import NetModel
from metalearner.train.net import NetLearner

REGISTRY = plugins.load()
PRODUCTIONS = REGISTRY.productions
# What ends up in networks, wherever it is derived.
INSIDE = sorted(
    n
    for n, p in PRODUCTIONS.items()
    if (type(p).build is not Production.build or type(p).expand is not Production.expand) and not p.within
)
NAMES = [n for n in INSIDE if type(PRODUCTIONS[n]).expand is not Production.expand]
RECIPE = Config("gradient")
ROWS, WIDTH = 5, 3


def axes(*sizes: tuple[str, int], ragged: int | None = None) -> tuple[Axis, ...]:
    return tuple(Axis(kind, size, i == ragged) for i, (kind, size) in enumerate(sizes))


VIEWS = {
    "mixed table": View(axes(("columns", 7)), 1, (4, 3, 40)),
    "wide table": View(axes(("columns", 60)), 1),
    "one column": View(axes(("columns", 1)), 1),
    "codes alone": View(axes(("columns", 0)), 1, (2, 5, 12)),
    "series": View(axes(("time", 24)), 2),
    "one step": View(axes(("time", 1)), 1),
    "three steps": View(axes(("time", 3)), 4),
    "ragged series": View(axes(("time", 40), ragged=0), 3),
    "long ragged series": View(axes(("time", 1100), ragged=0), 1),
    "two ragged steps": View(axes(("time", 2), ragged=0), 1),
    "many channels": View(axes(("time", 12)), 150),
    "spectrum": View(axes(("space", 91)), 1),
    "sensors": View(axes(("set", 3), ("time", 30)), 5),
    "ragged set of series": View(axes(("set", 4), ("time", 10), ragged=0), 2),
    "sensors that end early": View(axes(("set", 2), ("time", 20), ragged=1), 1),
    "spectrogram": View(axes(("time", 21), ("space", 9), ragged=0), 1),
    "small image": View(axes(("space", 8), ("space", 8)), 1),
    "image": View(axes(("space", 28), ("space", 19)), 3),
    "one pixel": View(axes(("space", 1), ("space", 1)), 3),
    "thin image": View(axes(("space", 2), ("space", 33)), 1),
    "film": View(axes(("time", 5), ("space", 8), ("space", 7)), 1),
    "ragged film": View(axes(("time", 6), ("space", 4), ("space", 5), ragged=0), 2),
    "volume": View(axes(("space", 6), ("space", 5), ("space", 4)), 1),
    "tokens": View(axes(("tokens", 16)), 8),
    "ragged tokens": View(axes(("tokens", 33), ragged=0), 6),
    "set": View(axes(("set", 6)), 3),
    "ragged set": View(axes(("set", 5), ragged=0), 2),
    "set of images": View(axes(("set", 3), ("space", 6), ("space", 6)), 1),
}
# What one network may take: each view by itself, and some together.
TAKEN = [{"v": view} for view in VIEWS.values()]
TAKEN += [
    {"table": VIEWS["mixed table"], "image": VIEWS["small image"]},
    {"series": VIEWS["ragged series"], "set": VIEWS["ragged set"], "table": VIEWS["codes alone"]},
]
# Whole networks in one piece would crowd out what can be derived beside them: together as likely as all others.
WHOLE = [n for n in INSIDE if PRODUCTIONS[n].symbol == "encoder" and not PRODUCTIONS[n].parts]
ODDS = dict.fromkeys(WHOLE, 0.5 / max(1, len(WHOLE)))


def capped(productions, most=24):
    """The same productions with whole numbers of at most `most`: every kind of network, none of them wide."""
    small = {}
    for name, production in productions.items():
        ranges = {}
        for number, values in production.space().items():
            if isinstance(values, Int):
                high = max(values.low, min(values.high, most))
                values = Int(values.low, high, min(values.default, high), values.log)
            ranges[number] = values
        small[name] = copy.copy(production)
        small[name].space = lambda ranges=ranges: ranges
    return small


SMALL = capped(PRODUCTIONS)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tiny batches on many threads take longer than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def inputs(views, rows=ROWS, seed=0):
    return [testing.random_inputs(view, rows, seed) for view in views.values()]


def used(config, views):
    """The productions in a derivation, names and what they stand for."""
    nodes = [*config.walk(), *grammar.unfold(config, views, PRODUCTIONS).walk()]
    return {node.production for _, node in nodes} & set(INSIDE)


def run(config, views, seed):
    """Build, forward, backward; then every row of the first alone, in eval."""
    torch.manual_seed(seed)
    net = build(config, views, WIDTH, PRODUCTIONS)
    given = inputs(views, seed=seed)
    raw = net(given)
    assert raw.shape == (ROWS, net.members, WIDTH)
    raw.square().mean().backward()
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    assert gradients and all(torch.isfinite(g).all() for g in gradients)
    net.eval()
    with torch.no_grad():
        together = net(given)
        alone = net([tuple(None if t is None else t[:1] for t in view) for view in given])
    assert torch.isfinite(raw).all() and torch.isfinite(together).all()
    torch.testing.assert_close(together[:1], alone, atol=1e-4, rtol=1e-4)


def derivation(seed):
    views = TAKEN[seed % len(TAKEN)]
    return grammar.derive_net(views, SMALL, np.random.default_rng(seed), ODDS, RECIPE), views


BATCH = 50
BATCHES = [pytest.param(i, marks=[pytest.mark.slow] if i >= 20 else []) for i in range(200)]


@pytest.mark.parametrize("batch", BATCHES)
def test_every_derivation_runs(batch):
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        config, views = derivation(seed)
        try:
            assert grammar.check(config, PRODUCTIONS) == []
            assert grammar.fits(config, views, PRODUCTIONS) == ""
            assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config
            run(config, views, seed)
        except Exception as problem:
            drawn = grammar.outline(config, PRODUCTIONS)
            pytest.fail(f"seed {seed} on {views}:\n{drawn}\n{type(problem).__name__}: {problem}"[:4000])


def test_every_production_is_derived_somewhere():
    seen = set()
    for seed in range(1000):
        seen |= used(*derivation(seed))
    assert seen == set(INSIDE)


@pytest.mark.parametrize("name", INSIDE)
def test_productions_keep_their_contract(name):
    production = PRODUCTIONS[name]
    fitting = [v for v in candidates(production) if production.accepts(v)]
    assert fitting, f"{name} accepts none of the views here"
    for seed, view in enumerate(fitting[:: max(1, len(fitting) // 4)]):
        testing.check_production(production, view, seed, PRODUCTIONS if name in NAMES else SMALL)


def candidates(production):
    """Views of the data for what stands at the outside; inside an encoder, those of what tokenisers give."""
    if production.symbol in ("encoder", "tokeniser"):
        return list(VIEWS.values())
    return [*(View(v.axes, 8) for v in VIEWS.values() if all(a.size for a in v.axes)), View((), 8)]


# -- variation ---------------------------------------------------------------------------------------------------------

FAMILIES = [f for f in REGISTRY.families.values() if f.presets[0].production == "net"]


def preset(seed):
    """A point of the catalogue, and a view that its family takes."""
    family = FAMILIES[seed % len(FAMILIES)]
    fitting = [views for views in TAKEN if len(views) == 1 and family.accepts(views)]
    return family.presets[seed % len(family.presets)], fitting[seed % len(fitting)]


@pytest.mark.parametrize("batch", range(4))
def test_mutations_of_catalogue_points_fit(batch):
    for seed in range(batch * 40, (batch + 1) * 40):
        rng, (config, views) = np.random.default_rng(seed), preset(seed)
        for _ in range(4):
            changed = grammar.mutate(config, views, PRODUCTIONS, rng)
            assert grammar.check(changed, PRODUCTIONS) == [] and grammar.fits(changed, views, PRODUCTIONS) == ""
            assert changed != config
            config = changed


def test_mutations_run():
    for seed in range(30):
        config, views = derivation(seed)
        run(grammar.mutate(config, views, SMALL, np.random.default_rng(seed)), views, seed)


def test_crossings_fit_and_run():
    crossed = 0
    for seed in range(60):
        views = TAKEN[seed % len(TAKEN)]
        rng = np.random.default_rng(seed)
        a, b = (grammar.derive_net(views, SMALL, rng, ODDS, RECIPE) for _ in range(2))
        child = grammar.cross(a, b, views, PRODUCTIONS, rng)
        if child is not None:
            crossed += 1
            assert grammar.check(child, PRODUCTIONS) == [] and grammar.fits(child, views, PRODUCTIONS) == ""
            run(child, views, seed)
    assert crossed > 30


# -- the catalogue -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_unfolded_presets_fit_their_views(family):
    fitting = [views for views in TAKEN if len(views) == 1 and family.accepts(views)]
    assert fitting
    for config in family.presets:
        for views in fitting:
            spelt = grammar.unfold(config, views, PRODUCTIONS)
            assert grammar.check(spelt, PRODUCTIONS) == [] and grammar.fits(spelt, views, PRODUCTIONS) == ""
            assert grammar.unfold(spelt, views, PRODUCTIONS) == spelt
            assert not {n.production for _, n in spelt.walk()} & set(NAMES)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_unfolded_presets_are_the_same_networks(family):
    views = next(v for v in reversed(TAKEN) if len(v) == 1 and family.accepts(v))
    given, found = inputs(views), []
    for config in (family.presets[0], grammar.unfold(family.presets[0], views, PRODUCTIONS)):
        torch.manual_seed(0)
        net = build(config, views, WIDTH, PRODUCTIONS).eval()
        with torch.no_grad():
            found.append((sum(p.numel() for p in net.parameters()), net(given)))
        assert cost(config, views, WIDTH, PRODUCTIONS).parameters == found[-1][0]
    assert found[0][0] == found[1][0] and torch.equal(found[0][1], found[1][1])


def test_costs_agree_with_torchs_own_counter():
    from torch.utils.flop_counter import FlopCounterMode

    for seed in range(40):
        config, views = derivation(seed)
        found = cost(config, views, WIDTH, PRODUCTIONS)
        net = build(config, views, WIDTH, PRODUCTIONS).to("meta").requires_grad_(False).eval()
        given = [tuple(None if t is None else t.to("meta") for t in view) for view in inputs(views, rows=1)]
        with FlopCounterMode(display=False) as counter, torch.device("meta"), torch.no_grad():
            net(given)
        assert found.multiply_adds == counter.get_total_flops() // 2
        assert found.parameters == sum(p.numel() for p in net.parameters())
        assert found.activations > 0


def aim():
    output = REGISTRY.outputs["classification"]
    return Aim(output, output.fit(np.array(["a", "b", "c"])), REGISTRY.metrics["accuracy"], REGISTRY)


def test_the_effort_of_a_fit_grows_with_its_network_and_its_passes():
    views = {"image": VIEWS["image"]}

    def effort(width, **recipe):
        recipe = {"epochs": 10, "batch_size": 32, **recipe}
        config = Config(
            "net", {}, {"encoder": (Config("resnet", {"width": width}),), "recipe": (Config("gradient", recipe),)}
        )
        return NetLearner().look(grammar.complete(config, PRODUCTIONS), views, aim())["effort"]

    assert effort(32) > 1.5 * effort(16) > 0
    assert effort(16, epochs=30) == pytest.approx(3 * effort(16))
    assert effort(16, batch_size=64) < effort(16)


@pytest.mark.parametrize("problem", [PluginError("It has to see what its input holds."), TypeError("a size of 2.0")])
def test_of_what_cannot_be_told_beforehand_nothing_is_said(monkeypatch, problem):
    config = grammar.complete(Config("net", {}, {"encoder": (Config("mlp"),), "recipe": (RECIPE,)}), PRODUCTIONS)
    setting = Setting(SimpleNamespace(sample=lambda *_: (None, {"table": VIEWS["mixed table"]})), REGISTRY)
    monkeypatch.setattr(Setting, "transform", None)
    monkeypatch.setattr(Setting, "aim", aim())
    assert setting.look(config)["effort"] > 0
    monkeypatch.setattr(NetLearner, "look", mock.Mock(side_effect=problem))
    assert setting.look(config) == {}


# -- export ------------------------------------------------------------------------------------------------------------


def having(name, count, productions):
    """`count` derivations (seed, views, config) in which this production stands, on as many kinds of view as there are."""
    odds, found = {**ODDS, name: 1000.0}, []
    for seed in range(20 * len(TAKEN)):
        views = TAKEN[(seed + 5 * INSIDE.index(name)) % len(TAKEN)]
        config = grammar.derive_net(views, productions, np.random.default_rng(seed), odds, RECIPE)
        if name in used(config, views):
            found.append((seed, views, config))
        if len(found) == count:
            return found
    pytest.fail(f"{len(found)} derivations with {name}, not {count}")


def exported_as_trained(config, views, seed):
    """One of the ways to export the network is run by ONNX Runtime, and gives its probabilities, 1e-4 apart at most."""
    output = REGISTRY.outputs["classification"]
    state = output.fit(np.array(["a", "b", "c"] * 4))
    aim = Aim(output, state, REGISTRY.metrics[output.metrics[0]], REGISTRY)
    torch.manual_seed(seed)
    net = build(config, views, output.width(state), PRODUCTIONS).eval()
    tensors = {
        name: Tensor(*(None if t is None else t.numpy() for t in given))
        for name, given in zip(views, inputs(views, seed=seed))
    }
    model, ways = NetModel(net, config, views, aim), []
    for content in model.export(views):
        try:
            ways.append(prove(OnnxModel(content), model, tensors))
        except Exception as problem:  # a trace may be no valid graph
            ways.append(problem)
        if not isinstance(ways[-1], Exception) and ways[-1] <= 1e-4:
            return
    pytest.fail(f"no export is equal: {ways}")


# Recurrent cells take 5 to 15 s to export, and a deep network as long: they are left to the longer variant.
QUICK = [n for n in INSIDE if "recurrent" not in PRODUCTIONS[n].tags]
SOME = QUICK[:: -(-len(QUICK) // 12)]
TINY = capped(PRODUCTIONS, 1)


@pytest.mark.parametrize("name", SOME)
def test_some_derivations_export(name):
    found = having(name, 8, TINY)
    seed, views, config = min(found, key=lambda f: len(grammar.unfold(f[2], f[1], PRODUCTIONS).walk()))
    exported_as_trained(config, views, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", INSIDE)
def test_derivations_with_every_production_export(name):
    for seed, views, config in having(name, -(-200 // len(INSIDE)), SMALL):
        try:
            exported_as_trained(config, views, seed)
        except Exception as problem:
            drawn = grammar.outline(config, PRODUCTIONS)
            pytest.fail(f"seed {seed} on {views}:\n{drawn}\n{type(problem).__name__}: {problem}"[:4000])
