"""The grammar as a language: a small teaching grammar derived, typed, varied, unfolded, drawn, built and priced."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from metalearner import grammar, testing
from metalearner.errors import PluginError
from metalearner.grammar.build import build, module
from metalearner.grammar.cost import cost
from metalearner.grammar.derivation import Deriver
from metalearner.grammar.types import typed
from metalearner.kinds import Choice, Float, Int, Name, Production, Slot
from metalearner.records import Axis, Config, View

# -- a teaching grammar: every symbol of the real one, its productions as short as they can be -------------------------


class Network(Production):
    name, symbol = "network", "encoder"
    parts = {"tokeniser": Slot("tokeniser"), "stage": Slot("stage", 1, 4), "pool": Slot("pool")}

    def build(self, numbers, view, parts):
        return Encoder(parts["tokeniser"][0].make(), Chain(parts["stage"]), parts["pool"][0])


class Tiny(Production):
    """The name of two halving stages of one linear block."""

    name, symbol, loose = "tiny", "encoder", ("rate",)

    def space(self):
        return {"width": Int(4, 16, 8, log=True), "rate": Float(0.0, 0.5, 0.1)}

    def accepts(self, view):
        return len(view.axes) == 1 and not view.cardinalities

    def expand(self, numbers, view):
        block = Config("residual", {"rate": numbers["rate"]}, {"mixer": (Config("linear"),)})
        parts = {
            "tokeniser": (Config("project", {"width": numbers["width"]}),),
            "stage": (Config("repeat", {"times": 1}, {"block": (block,)}),) * 2,
            "pool": (Config("mean"),),
        }
        return Config("network", {}, parts)


class Tinier(Production):
    """A name for a name."""

    name, symbol = "tinier", "encoder"

    def accepts(self, view):
        return TEACHING["tiny"].accepts(view)

    def expand(self, numbers, view):
        return Config("tiny", {"width": 4})


class Project(Production):
    name, symbol = "project", "tokeniser"

    def space(self):
        return {"width": Int(4, 16, 8, log=True)}

    def gives(self, numbers, view, inner):
        return View(view.axes or (Axis("columns", 1),), numbers["width"])

    def build(self, numbers, view, parts):
        return Projected(view, numbers["width"])


class Repeat(Production):
    name, symbol = "repeat", "stage"
    parts = {"block": Slot("block", 1, 3), "down": Slot("down", 0, 1)}

    def space(self):
        return {"times": Int(1, 3, 1)}

    def build(self, numbers, view, parts):
        return Chain([*list(parts["block"]) * numbers["times"], *parts["down"]])


class Residual(Production):
    name, symbol, loose = "residual", "block", ("rate",)
    parts = {"norm": Slot("norm", 0, 1), "mixer": Slot("mixer")}

    def space(self):
        return {"rate": Float(0.0, 0.5, 0.1)}

    def gives(self, numbers, view, inner):
        return inner if inner == view else None

    def build(self, numbers, view, parts):
        return Added(Chain([*parts["norm"], *parts["mixer"]]), numbers["rate"])


class Centred(Production):
    name, symbol = "centred", "norm"

    def build(self, numbers, view, parts):
        return Pointwise(nn.LayerNorm(view.channels))


class Linear(Production):
    name, symbol = "linear", "mixer"

    def build(self, numbers, view, parts):
        return Pointwise(nn.Sequential(nn.Linear(view.channels, view.channels), nn.Tanh()))


class Widen(Production):
    """Changes the channels: fits beside its like alone, and never into a residual block by itself."""

    name, symbol = "widen", "mixer"

    def space(self):
        return {"factor": Choice((1, 2))}

    def gives(self, numbers, view, inner):
        return View(view.axes, view.channels * numbers["factor"])

    def build(self, numbers, view, parts):
        return Pointwise(nn.Linear(view.channels, view.channels * numbers["factor"]))


class Beside(Production):
    name, symbol, flow = "beside", "mixer", "parallel"
    parts = {"branch": Slot("mixer", 2, 3)}

    def build(self, numbers, view, parts):
        return Summed(parts["branch"])


class After(Production):
    name, symbol = "after", "mixer"
    parts = {"step": Slot("mixer", 2, 3)}

    def build(self, numbers, view, parts):
        return Chain(parts["step"])


class Halve(Production):
    name, symbol = "halve", "down"

    def accepts(self, view):
        return len(view.axes) == 1 and view.axes[0].size >= 2 and not view.axes[0].ragged

    def gives(self, numbers, view, inner):
        return View((Axis(view.axes[0].kind, view.axes[0].size // 2),), view.channels)

    def build(self, numbers, view, parts):
        return Halved()


class Mean(Production):
    name, symbol = "mean", "pool"

    def accepts(self, view):
        return bool(view.axes)

    def gives(self, numbers, view, inner):
        return View((), view.channels)

    def build(self, numbers, view, parts):
        return Averaged()


class Root(Production):
    name, symbol, flow = "net", "learner", "parallel"
    parts = {"encoder": Slot("encoder", 1, 8), "recipe": Slot("recipe")}


class Descent(Production):
    name, symbol, loose = "descent", "recipe", ("lr",)

    def space(self):
        return {"lr": Float(1e-4, 1.0, 0.1, log=True), "kind": Choice(("a", "b")), "loss": Name("losses", ("auto",))}


class Encoder(nn.Module):
    def __init__(self, tokeniser, body, pool):
        super().__init__()
        self.tokeniser, self.body, self.pool = tokeniser, body, pool.make()
        self.width, self.members = pool.gives.channels, 1

    def forward(self, values, codes, mask):
        return self.pool(*self.body(*self.tokeniser(values, codes, mask)))


class Projected(nn.Module):
    def __init__(self, view, width):
        super().__init__()
        self.view, self.linear = view, nn.Linear(view.channels, width)

    def forward(self, values, codes, mask):
        x = self.linear(torch.where(torch.isnan(values), 0.0, values))
        if not self.view.axes:
            x = x.unsqueeze(1)
        ragged = [i for i, a in enumerate(self.view.axes) if a.ragged]
        if ragged:
            x = x * mask.reshape(len(x), *(a.size if i == ragged[0] else 1 for i, a in enumerate(self.view.axes)), 1)
        return x, mask


class Chain(nn.Module):
    def __init__(self, parts):
        super().__init__()
        self.steps = nn.ModuleList(p.make() for p in parts)

    def forward(self, x, mask):
        for step in self.steps:
            x, mask = step(x, mask)
        return x, mask


class Added(nn.Module):
    def __init__(self, inner, rate):
        super().__init__()
        self.inner, self.dropout = inner, nn.Dropout(rate)

    def forward(self, x, mask):
        return x + self.dropout(self.inner(x, mask)[0]), mask


class Summed(Chain):
    def forward(self, x, mask):
        return sum(step(x, mask)[0] for step in self.steps), mask


class Pointwise(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x, mask):
        return self.inner(x), mask


class Halved(nn.Module):
    def forward(self, x, mask):
        return nn.functional.avg_pool1d(x.transpose(1, 2), 2).transpose(1, 2), mask


class Averaged(nn.Module):
    def forward(self, x, mask):
        return x.flatten(1, -2).mean(dim=1)


TEACHING = {
    p.name: p
    for p in (
        *(Root(), Descent(), Network(), Tiny(), Tinier(), Project(), Repeat(), Residual(), Centred()),
        *(Linear(), Widen(), Beside(), After(), Halve(), Mean()),
    )
}
SERIES = {"v": View((Axis("time", 12),), 2)}
VIEWS = [
    SERIES,
    {"v": View((Axis("time", 1),), 1)},
    {"v": View((Axis("space", 5), Axis("space", 4)), 3)},
    {"v": View((Axis("set", 3, ragged=True), Axis("space", 2), Axis("space", 2)), 1)},
    {"a": View((Axis("columns", 6),), 1, (3, 4)), "b": View((), 4), "c": View((Axis("tokens", 9),), 2)},
]
seeds = st.integers(0, 100_000)
anywhere = st.sampled_from(VIEWS)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tiny batches on many threads take longer than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def derived(views, seed):
    return grammar.derive_net(views, TEACHING, np.random.default_rng(seed))


def valid(config, views):
    return not grammar.check(config, TEACHING) and not grammar.fits(config, views, TEACHING)


# -- numbers by path ---------------------------------------------------------------------------------------------------

RECIPE = Config("descent", {"kind": "b"})
CONFIG = Config("net", {}, {"encoder": (Config("tiny", {"width": 16}),), "recipe": (RECIPE,)})


def test_numbers_have_paths_and_defaults():
    assert grammar.numbers(CONFIG, TEACHING) == {
        "encoder.0:width": 16, "encoder.0:rate": 0.1, "recipe.0:lr": 0.1, "recipe.0:kind": "b", "recipe.0:loss": "auto",
    }  # fmt: skip


def test_with_numbers_reaches_every_node():
    changed = grammar.with_numbers(CONFIG, {"recipe.0:lr": 0.5, "encoder.0:width": 8})
    assert grammar.numbers(changed, TEACHING)["encoder.0:width"] == 8
    assert changed.parts["recipe"][0].numbers == {"kind": "b", "lr": 0.5}
    root = grammar.with_numbers(RECIPE, {"lr": 0.2})
    assert root.numbers == {"kind": "b", "lr": 0.2}


@given(seeds)
@settings(deadline=None)
def test_numbers_reach_every_depth_of_a_tree(seed):
    config, other = derived(SERIES, seed), np.random.default_rng(seed)
    values = {path: grammar.draw(r, other) for path, r in grammar.space(config, TEACHING).items()}
    assert grammar.numbers(grammar.with_numbers(config, values), TEACHING) == values


def test_equal_fits_have_equal_identities_once_complete():
    implicit, explicit = CONFIG, grammar.with_numbers(CONFIG, {"recipe.0:lr": 0.1})
    assert implicit.id != explicit.id
    assert grammar.complete(implicit, TEACHING).id == grammar.complete(explicit, TEACHING).id


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (Config("nett"), "Unknown production 'nett'. Did you mean 'net'?"),
        (Config("descent", {"speed": 1}), "has no number 'speed'"),
        (Config("descent", {"lr": 7.0}), "lr must be in"),
        (Config("tiny", {"width": True}), "width must be in"),
        (Config("net", {}, {"encoder": (Config("net"),)}), "takes encoder, not net"),
        (Config("net", {}, {"encoder": ()}), "takes 1 to 8 parts, has 0"),
        (Config("tiny", {}, {"encoder": (Config("tiny"),)}), "has no slot 'encoder'"),
    ],
)
def test_what_is_wrong_is_said(config, complaint):
    assert any(complaint in w for w in grammar.check(config, TEACHING))


def test_a_name_nobody_lists_may_still_be_given():
    assert not grammar.check(Config("descent", {"loss": "my-own"}), TEACHING)


@given(seeds, st.floats(0, 1))
def test_samples_are_valid(seed, near):
    sampled = grammar.sample(CONFIG, TEACHING, np.random.default_rng(seed), near)
    assert not grammar.check(sampled, TEACHING)
    assert sampled.skeleton == CONFIG.skeleton


# -- types -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "view", "happened"),
    [
        (Config("tiny"), View((), 3), "'tiny' does not take 3 channels."),
        (Config("mean"), View((), 3), "'mean' does not take 3 channels."),
        (Config("tinier"), View((Axis("set", 3), Axis("time", 4)), 1), "'tinier' does not take set 3 x time 4 x 1 channels."),
        (
            Config("residual", {}, {"mixer": (Config("widen", {"factor": 2}),)}), View((), 3),
            "'residual' cannot go on from 6 channels, which its parts make of 3 channels.",
        ),
        (
            Config("beside", {}, {"branch": (Config("linear"), Config("widen", {"factor": 2}))}), View((), 3),
            "The parts of 'beside' give different views: 3 channels, 6 channels.",
        ),
    ],
)  # fmt: skip
def test_a_misfit_says_what_where_and_what_to_try(node, view, happened):
    with pytest.raises(grammar.Misfit) as caught:
        grammar.flow(node, view, TEACHING)
    assert caught.value.happened == happened
    assert caught.value.holds and caught.value.hint


def test_fits_counts_the_encoders():
    assert grammar.fits(CONFIG, VIEWS[-1], TEACHING) == "The derivation has 1 encoders for 3 views."
    assert grammar.fits(CONFIG, SERIES, TEACHING) == ""


def test_parts_are_reached_by_what_the_one_before_gives():
    node = grammar.unfolded(Config("tiny", {"width": 4}), SERIES["v"], TEACHING)
    views = [(slot, view.shape) for slot, _, view in grammar.reached(node, SERIES["v"], TEACHING)]
    assert views == [("tokeniser", (12, 2)), ("stage", (12, 4)), ("stage", (12, 4)), ("pool", (12, 4))]


def test_a_name_that_never_ends_is_an_error():
    class Loop(Production):
        name, symbol = "loop", "encoder"

        def expand(self, numbers, view):
            return Config("loop")

    with pytest.raises(PluginError, match="has not ended"):
        grammar.flow(Config("loop"), SERIES["v"], {"loop": Loop()})


def test_types_are_found_once_however_deep_the_nesting():
    asked = []

    class Counted(Linear):
        def gives(self, numbers, view, inner):
            asked.append(view)
            return inner

    node, depth = Config("linear"), 12
    for _ in range(depth):
        node = Config("after", {}, {"step": (node, Config("linear"))})
    grammar.flow(node, View((), 4), {**TEACHING, "linear": Counted()})
    assert len(asked) == depth + 1
    del asked[:]
    module(node, View((), 4), {**TEACHING, "linear": Counted()})
    assert len(asked) == depth + 1


# -- derivations -------------------------------------------------------------------------------------------------------


@given(anywhere, seeds)
@settings(deadline=None)
def test_derivations_are_valid_complete_and_read_back(views, seed):
    config = derived(views, seed)
    assert valid(config, views)
    assert grammar.complete(config, TEACHING) == config
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert derived(views, seed) == config


def depth_of(node, names, depth=0):
    inner = [depth_of(c, names, depth + 1) for parts in node.parts.values() for c in parts]
    return max([depth if node.production in names else 0, *inner])


@given(seeds, st.integers(0, 6))
@settings(deadline=None)
def test_recursion_ends_at_the_depth_that_is_asked_for(seed, deepest):
    node = grammar.derive("mixer", View((), 4), TEACHING, np.random.default_rng(seed), {"linear": 0.05}, deepest)
    assert depth_of(node, {"beside", "after"}) < max(deepest, 1)


def test_every_production_that_fits_is_derived():
    seen = {n.production for seed in range(200) for _, n in derived(SERIES, seed).walk()}
    assert seen == set(TEACHING)


def test_odds_weigh_productions_and_zero_means_never():
    rng = np.random.default_rng(0)
    nodes = [grammar.derive("mixer", View((), 4), TEACHING, rng, {"linear": 30.0, "widen": 0.0}) for _ in range(300)]
    assert sum(n.production == "linear" for n in nodes) > 270
    assert not any(child.production == "widen" for n in nodes for _, child in n.walk())


def test_where_nothing_fits_the_error_names_the_view_and_what_there_is():
    with pytest.raises(grammar.Misfit) as caught:
        grammar.derive("down", View((Axis("time", 1),), 3), TEACHING, np.random.default_rng(0))
    assert str(caught.value).splitlines()[:2] == [
        "No derivation of 'down' was found for time 1 x 3 channels.",
        "Productions of it: halve.",
    ]
    with pytest.raises(grammar.Misfit, match="Productions of it: none"):
        grammar.derive("roof", View((), 3), TEACHING, np.random.default_rng(0))


def test_symbols_that_lead_back_to_each_other_end_too():
    class A(Production):
        name, symbol, parts = "a", "a", {"b": Slot("b", 1, 2)}

    class B(Production):
        name, symbol, parts = "b", "b", {"a": Slot("a", 1, 2)}

    class End(Production):
        name, symbol, parts = "end", "b", {"rest": Slot("a", 0, 3)}

    circle = {"a": A(), "b": B(), "end": End()}
    for seed in range(50):
        assert grammar.derive("a", View((), 1), circle, np.random.default_rng(seed), {"end": 0.01}).production == "a"
    with pytest.raises(grammar.Misfit):
        grammar.derive("a", View((), 1), {"a": A(), "b": B()}, np.random.default_rng(0))


def test_a_recipe_that_is_given_is_kept():
    config = grammar.derive_net(SERIES, TEACHING, np.random.default_rng(0), recipe=RECIPE)
    assert config.parts["recipe"] == (RECIPE,)


# -- variation ---------------------------------------------------------------------------------------------------------


@given(anywhere, seeds)
@settings(deadline=None)
def test_mutations_fit_and_change_something(views, seed):
    rng, config = np.random.default_rng(seed), derived(views, seed)
    for _ in range(5):
        changed = grammar.mutate(config, views, TEACHING, rng)
        assert valid(changed, views)
        assert grammar.complete(changed, TEACHING) != grammar.complete(config, TEACHING)
        config = changed


def test_mutation_reaches_inside_names_and_leaves_the_rest_as_it_was_written():
    found = [grammar.mutate(CONFIG, SERIES, TEACHING, np.random.default_rng(seed)) for seed in range(80)]
    heads = {c.parts["encoder"][0].production for c in found}
    assert heads == {"tiny", "network", "tinier"}
    assert all(c.parts["recipe"] == (RECIPE,) for c in found if c.parts["encoder"] != CONFIG.parts["encoder"])
    one_step = [c for c in found if c.parts["encoder"][0].production == "network"]
    assert max(grammar.likeness(c, grammar.unfold(CONFIG, SERIES, TEACHING)) for c in one_step) > 0.9


def test_a_replaced_node_keeps_numbers_and_parts_that_fit():
    child = Config("widen", {"factor": 2})
    old = Config("after", {}, {"step": (child, Config("linear"))})
    deriver = Deriver(TEACHING, np.random.default_rng(0))
    tree = typed(old, View((), 3), TEACHING)
    node = deriver.node(TEACHING["beside"], View((), 3), 0, keep=tree.numbers, old=[p for _, p in tree.parts])
    assert node is None or node.said.parts["branch"][0] == child
    kept = deriver.node(TEACHING["tiny"], SERIES["v"], 0, keep={"width": 5, "rate": 99.0})
    assert kept.said.numbers["width"] == 5 and kept.said.numbers["rate"] <= 0.5


def test_a_number_taken_over_is_said_as_its_new_range_says_it():
    """An expansion of 2.0, kept where 2 stands for it, was a size that torch refused, and ended the run."""

    class Sized(Production):
        name, symbol = "sized", "encoder"

        def space(self):
            return {"expansion": Choice((3, 2)), "share": Float(0.0, 4.0, 1.0)}

    kept = Deriver({"sized": Sized()}, np.random.default_rng(0)).node(
        Sized(), View((), 3), 0, keep={"expansion": 2.0, "share": 1}
    )
    assert isinstance(kept.said.numbers["expansion"], int) and isinstance(kept.said.numbers["share"], float)
    typed_one = typed(Config("sized", {"expansion": 2.0}), View((), 3), {"sized": Sized()})
    assert isinstance(typed_one.numbers["expansion"], int)


def test_where_nothing_can_change_mutation_says_so():
    class Lone(Production):
        name, symbol = "lone", "learner"

    with pytest.raises(grammar.Misfit) as caught:
        grammar.mutate(Config("lone"), SERIES, {"lone": Lone()}, np.random.default_rng(0))
    assert caught.value.happened.startswith("No change to 'lone' was found") and caught.value.hint


@given(anywhere, seeds)
@settings(deadline=None)
def test_crossings_fit_and_are_neither_parent(views, seed):
    a, b = derived(views, seed), derived(views, seed + 1)
    child = grammar.cross(a, b, views, TEACHING, np.random.default_rng(seed))
    if child is not None:
        assert valid(child, views)
        assert child not in (a, b)
    assert grammar.cross(a, a, views, TEACHING, np.random.default_rng(seed)) != a


def test_most_pairs_can_be_crossed_and_equal_ones_without_choice_cannot():
    crossed = [
        grammar.cross(derived(SERIES, i), derived(SERIES, i + 1), SERIES, TEACHING, np.random.default_rng(i))
        for i in range(40)
    ]
    assert sum(c is not None for c in crossed) >= 30
    lone = Config("net", {}, {"encoder": (Config("tinier"),), "recipe": (RECIPE,)})
    assert grammar.cross(lone, lone, SERIES, TEACHING, np.random.default_rng(0)) is None


# -- forms -------------------------------------------------------------------------------------------------------------


@given(anywhere, seeds)
@settings(deadline=None)
def test_unfolding_twice_changes_nothing_more(views, seed):
    once = grammar.unfold(derived(views, seed), views, TEACHING)
    assert grammar.unfold(once, views, TEACHING) == once
    assert valid(once, views)
    assert not {n.production for _, n in once.walk()} & {"tiny", "tinier"}


@pytest.mark.parametrize("name", ["tiny", "tinier"])
def test_what_a_name_stands_for_is_the_same_network(name):
    config = Config("net", {}, {"encoder": (Config(name),), "recipe": (RECIPE,)})
    given_ = [testing.random_inputs(SERIES["v"], 4)]
    outputs = []
    for said in (config, grammar.unfold(config, SERIES, TEACHING)):
        torch.manual_seed(0)
        outputs.append(build(said, SERIES, 3, TEACHING).eval()(given_))
    assert torch.equal(*outputs)


def test_two_ways_of_saying_one_network_have_one_id():
    said = [Config("tinier"), Config("tiny", {"width": 4}), Config("tiny", {"width": 4, "rate": 0.1})]
    nets = [Config("net", {}, {"encoder": (c,), "recipe": (RECIPE,)}) for c in said]
    spelt = grammar.unfold(nets[0], SERIES, TEACHING)
    nets.append(grammar.with_numbers(spelt, {"recipe.0:lr": 0.1}))
    assert len({grammar.unfold(c, SERIES, TEACHING).id for c in nets}) == 1
    whole = grammar.with_numbers(spelt, {"recipe.0:lr": 1})
    real = grammar.with_numbers(spelt, {"recipe.0:lr": 1.0})
    assert grammar.unfold(whole, SERIES, TEACHING).id == grammar.unfold(real, SERIES, TEACHING).id


def test_identity_and_shape_leave_out_what_they_should():
    warmer = grammar.with_numbers(CONFIG, {"recipe.0:lr": 0.5, "encoder.0:rate": 0.3})
    wider = grammar.with_numbers(CONFIG, {"encoder.0:width": 8})
    assert grammar.identity(CONFIG) == grammar.identity(warmer) == grammar.identity(wider)
    assert grammar.shape(CONFIG, TEACHING) == grammar.shape(warmer, TEACHING)
    assert grammar.shape(CONFIG, TEACHING) == grammar.shape(grammar.complete(CONFIG, TEACHING), TEACHING)
    assert grammar.shape(CONFIG, TEACHING) != grammar.shape(wider, TEACHING)
    assert set(grammar.loose(CONFIG, TEACHING)) == {"encoder.0:rate", "recipe.0:lr"}


@given(seeds)
@settings(deadline=None)
def test_configs_that_differ_in_loose_numbers_alone_share_a_shape(seed):
    rng, config = np.random.default_rng(seed), derived(SERIES, seed)
    drawn = {path: grammar.draw(values, rng) for path, values in grammar.loose(config, TEACHING).items()}
    assert grammar.shape(grammar.with_numbers(config, drawn), TEACHING) == grammar.shape(config, TEACHING)


@given(seeds)
@settings(deadline=None)
def test_likeness_is_a_share_and_symmetric(seed):
    a, b = derived(SERIES, seed), derived(SERIES, seed + 1)
    assert grammar.likeness(a, a) == 1.0
    assert 0.0 < grammar.likeness(a, b) == grammar.likeness(b, a) <= 1.0
    assert grammar.likeness(Config("linear"), Config("mean")) == 0.0


DRAWN = """\
net
  encoder: network
    tokeniser: project  width 8
    stage x2: repeat  times 1
      block: residual  rate 0.1
        mixer: linear
    pool: mean
  recipe: descent  kind b, loss auto, lr 0.1"""


def test_a_derivation_is_drawn():
    config = Config("net", {}, {"recipe": (RECIPE,), "encoder": (Config("tiny"),)})
    spelt = grammar.unfold(config, SERIES, TEACHING)
    assert grammar.outline(spelt, TEACHING) == DRAWN
    stored = Config.from_json(json.loads(json.dumps(spelt.to_json(), sort_keys=True)))
    assert grammar.outline(stored, TEACHING) == DRAWN
    assert grammar.outline(stored) == grammar.outline(spelt)


# -- building and pricing ----------------------------------------------------------------------------------------------


@given(anywhere, seeds)
@settings(deadline=None, max_examples=60)
def test_what_is_derived_runs(views, seed):
    torch.manual_seed(seed)
    net = build(derived(views, seed), views, 3, TEACHING)
    raw = net([testing.random_inputs(view, 4, seed) for view in views.values()])
    assert raw.shape == (4, 1, 3)
    raw.square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


@pytest.mark.parametrize("production", TEACHING.values(), ids=lambda p: p.name)
def test_the_teaching_grammar_keeps_the_contract(production):
    view = next(v for v in (SERIES["v"], View((Axis("time", 12),), 8)) if production.accepts(v))
    testing.check_production(production, view, productions=TEACHING)


def test_costs_are_counted_without_memory():
    config = Config("net", {}, {"encoder": (Config("tiny", {"width": 16}),), "recipe": (RECIPE,)})
    views = {"v": View((Axis("time", 100_000_000),), 2)}
    found = cost(config, views, 3, TEACHING)
    assert found.parameters == (2 * 16 + 16) + 2 * (16 * 16 + 16) + (16 * 3 + 3)
    assert found.multiply_adds == 100_000_000 * (2 * 16 + 2 * 16 * 16) + 16 * 3
    assert found.activations > 100_000_000 * 16 * 5
