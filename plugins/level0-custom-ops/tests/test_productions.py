"""Binary productions on features and data of each kind they accept, and the same numbers from torch, the kernels and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metalearner_level0_custom_ops import numpy_machine
from metalearner_level0_custom_ops.assembling import from_onnx
from metalearner_level0_custom_ops.families import PRESETS, accepts, small
from metalearner_level0_custom_ops.productions import PRODUCTIONS
from metalearner_level0_custom_ops.steps import PACK, SIGNS, Unsupported
from networks import exported, feed, predicted

from metalearner import grammar, testing
from metalearner.grammar.build import module
from metalearner.records import Axis, Config, View

KNOWN = {p.name: p for p in PRODUCTIONS}


def view(*axes: str, channels: int = 9, codes: tuple[int, ...] = ()) -> View:
    parts = [a.split() for a in axes]
    return View(tuple(Axis(kind, int(size), bool(ragged)) for kind, size, *ragged in parts), channels, codes)


FEATURES = {
    "vector": view(),
    "one step": view("time 1"),
    "series": view("time 7"),
    "ragged": view("time 9 ragged"),
    "text": view("tokens 33 ragged", channels=70),
    "thin image": view("space 5", "space 1"),
    "image": view("space 6", "space 11"),
    "tall image": view("space 12", "space 5", channels=65),
    "ragged film": view("time 5 ragged", "space 3"),
    "ragged spectra": view("time 70 ragged", "tokens 20"),
    "set": view("set 6 ragged"),
    "sensors": view("set 3", "time 8 ragged"),
}
DATA = {
    "picture": view("space 28", "space 28", channels=1),
    "colours": view("space 32", "space 32", channels=3),
    "series": view("time 60", channels=3),
    "ragged": view("time 100 ragged", channels=2),
    "spectra": view("time 70 ragged", "tokens 50", channels=1),
    "one number": view("time 1", channels=1),
    "long": view("time 5000 ragged", channels=1),
}
INNER = [p for p in PRODUCTIONS if p.symbol not in ("encoder", "tokeniser")]
PAIRS = [(p.name, name) for p in INNER for name, v in FEATURES.items() if p.accepts(v)]
TOKENS = [(p.name, name) for p in PRODUCTIONS if p.symbol == "tokeniser" for name, v in DATA.items() if p.accepts(v)]
ENCODERS = [(p.name, name) for p in PRODUCTIONS if p.symbol == "encoder" for name, v in DATA.items() if p.accepts(v)]


def test_every_production_is_tried_here():
    assert {name for name, _ in (*PAIRS, *TOKENS, *ENCODERS)} == set(KNOWN)
    assert all(r.holds(r.default) for p in PRODUCTIONS for r in p.space().values())


@pytest.mark.parametrize(("name", "where"), [*PAIRS, *TOKENS, *ENCODERS])
def test_productions_keep_their_contract(name, where, registry):
    for seed in range(2):
        among = FEATURES if KNOWN[name] in INNER else DATA
        testing.check_production(KNOWN[name], among[where], seed, registry.productions)


@pytest.mark.parametrize(("name", "where"), PAIRS)
def test_features_in_features_out(name, where):
    """To the last bit: signs are whole numbers."""
    rng = np.random.default_rng(0)
    for config in (Config(name), *(grammar.sample(Config(name), KNOWN, rng) for _ in range(4))):
        built = testing.check_features(config, FEATURES[where], KNOWN, tolerance=0.0)
        assert all(p.grad is not None for p in built.parameters()), "everything learns"


@pytest.mark.parametrize(("name", "where"), PAIRS)
def test_running_statistics_see_no_padding(name, where):
    """What lies in the padding changes nothing of what is kept."""
    comes = FEATURES[where]
    x, _, mask = testing.rows_of_lengths(comes)
    torch.manual_seed(0)
    built = module(Config(name), comes, KNOWN)
    begun = {k: v.clone() for k, v in built.state_dict().items()}
    kept = []
    for noise in (0.0, 50.0):
        built.load_state_dict(begun)
        built.train()(torch.where(testing.lying(comes, x, mask), x, noise), mask)
        kept.append({k: v.clone() for k, v in built.named_buffers()})
    assert all(torch.allclose(kept[0][k], kept[1][k], atol=1e-5) for k in kept[0])


@pytest.mark.parametrize(("name", "where"), TOKENS)
def test_the_grid_takes_the_data_as_they_come(name, where):
    comes = DATA[where]
    given = testing.rows_of_lengths(comes, missing=0.1)
    for numbers in ({}, {"width": 9, "positions": 64}, {"positions": 1024}):
        gives = grammar.flow(Config(name, numbers), comes, KNOWN)
        if gives is None:
            continue
        built = module(Config(name, numbers), comes, KNOWN).train()
        x, mask = built(*given)
        assert x.shape == (5, *gives.shape) and torch.isfinite(x).all()
        ragged = [a for a in gives.axes if a.ragged]
        assert (mask is None) == (not ragged) and (mask is None or mask.shape == (5, ragged[0].size))


CASES = {name: DATA[name] for name in ("picture", "series", "ragged", "spectra")}


@pytest.mark.parametrize("where", CASES)
@pytest.mark.parametrize(
    "numbers", [{}, {"scaling": "learned", "thresholds": False}, {"scaling": "none", "depth": 1, "stages": 2}], ids=str
)
def test_signs_are_everywhere_the_same(where, numbers, registry):
    """torch, the kernels, NumPy: to the last bit up to the pool, and what follows it within rounding."""
    views = {"v": CASES[where]}
    config = Config(
        "net", {}, {"encoder": (Config("binary-resnet", {"width": 32, **numbers}),), "recipe": (Config("gradient"),)}
    )
    net, content = exported(config, views, 7, registry.productions)
    program = from_onnx(content)
    assert program.holds(SIGNS) and program.holds(PACK)
    numpy_machine.check(program)
    inputs = [testing.random_inputs(CASES[where], 21, 3)]
    given = feed(views, inputs)
    here = program.run(given)
    parts = [np.ascontiguousarray(given[i.name], np.float32).reshape(21, -1) for i in program.inputs]
    assert np.abs(here - predicted(net, inputs)).max() < 1e-6
    assert np.abs(here - numpy_machine.run(program, parts)).max() < 1e-6
    one = program.run({k: v[:1] for k, v in given.items()})
    assert np.array_equal(one, here[:1]), "a row depends on its batch"


VIEWS = {
    "image": view("space 28", "space 28", channels=1),
    "series": view("time 60", channels=3),
    "ragged": view("time 60 ragged", channels=3),
    "table": view("columns 8", channels=1, codes=(3, 5)),
    "set": view("set 6 ragged", channels=4),
    "sensors": view("set 3", "time 40", channels=2),
}
IN_THE_WAY = {"recurrent": "GRU"}  # what has no step in programs


def families():
    from metalearner import plugins

    found = plugins.load().families
    return [
        (f, v)
        for v in VIEWS
        for f, one in found.items()
        if one.presets[0].production == "net" and one.accepts({v: VIEWS[v]})
    ]


@pytest.mark.parametrize(("family", "where"), families())
def test_networks_of_the_catalogue_become_programs_or_say_what_is_in_the_way(family, where, registry):
    views = {where: VIEWS[where]}
    try:
        net, content = exported(registry.families[family].presets[0], views, 10, registry.productions)
    except Exception as problem:
        pytest.skip(f"has no ONNX: {problem}")
    if family in IN_THE_WAY:
        with pytest.raises(Unsupported, match=IN_THE_WAY[family]):
            from_onnx(content)
        return
    program = from_onnx(content)
    numpy_machine.check(program)
    inputs = [testing.random_inputs(VIEWS[where], 7, 0)]
    given, wanted = feed(views, inputs), predicted(net, inputs)
    parts = [np.ascontiguousarray(given[i.name], np.float32).reshape(7, -1) for i in program.inputs]
    for found in (program.run(given), numpy_machine.run(program, parts)):
        assert np.abs(found - wanted).max() < 1e-5


SEEDS = [pytest.param(i, marks=[pytest.mark.slow] if i >= 8 else []) for i in range(60)]


@pytest.mark.parametrize("seed", SEEDS)
def test_derived_networks_become_programs_or_say_what_is_in_the_way(seed, registry):
    """Whatever search composes, binary blocks among the others."""
    rng = np.random.default_rng(seed)
    where = list(VIEWS)[seed % len(VIEWS)]
    views = {where: VIEWS[where]}
    config = grammar.derive_net(views, registry.productions, rng, {}, Config("gradient"))
    try:
        net, content = exported(config, views, 4, registry.productions, seed)
        program = from_onnx(content)
    except Unsupported as reason:
        pytest.skip(str(reason))
    inputs = [testing.random_inputs(VIEWS[where], 7, 0)]
    numpy_machine.check(program)
    assert np.abs(program.run(feed(views, inputs)) - predicted(net, inputs)).max() < 1e-5


def test_families_take_part_where_size_or_time_is_limited():
    assert small({"limit.bytes": None, "limit.seconds": None}) == ()
    assert small({"limit.bytes": 2e5}) == small({"limit.seconds": 1e-3}) == PRESETS
    assert accepts({"v": VIEWS["image"]}) and not accepts({"v": VIEWS["table"]})
    assert not accepts({"a": VIEWS["image"], "b": VIEWS["series"]})
