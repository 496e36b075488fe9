"""Every production on every kind of features it accepts: the type it says, finite, rows alone, padding of no account."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from metalearner_level1_framework_models.encoders import ENCODERS
from metalearner_level1_framework_models.grammar import PRIMITIVES
from metalearner_level1_framework_models.grammar.bounds import PLACES, WORK
from metalearner_level1_framework_models.networks.layers import BatchNorm, Dropout, DropPath
from metalearner_level1_framework_models.networks.recurrence import scan
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from metalearner import grammar, testing
from metalearner.grammar.build import module
from metalearner.records import Axis, Config, View

KNOWN = {p.name: p for p in [*PRIMITIVES, *ENCODERS]}
# What stands in a slot here.
FILL = {"norm": Config("batch-norm"), "mixer": Config("dense"), "block": Config("channel-mlp", {}, {"norm": (Config("no-norm"),)}),
        "down": Config("widen"), "tokeniser": Config("flatten"), "pool": Config("mean"), "stage": Config("stage")}  # fmt: skip


def axis(text: str) -> Axis:
    """Read an axis: "time 9 ragged"."""
    kind, size, *ragged = text.split()
    return Axis(kind, int(size), bool(ragged))


def view(*axes: str, channels: int = 9, codes: tuple[int, ...] = ()) -> View:
    return View(tuple(axis(a) for a in axes), channels, codes)


FEATURES = {
    "vector": view(),
    "one step": view("time 1"),
    "series": view("time 7"),
    "ragged": view("time 9 ragged"),
    "text": view("tokens 33 ragged", channels=8),
    "thin image": view("space 5", "space 1"),
    "image": view("space 6", "space 11"),
    "ragged film": view("time 5 ragged", "space 3", "space 4"),
    "set": view("set 6 ragged"),
    "columns": view("columns 5", channels=16),
    "sensors": view("set 3", "time 8 ragged"),
    "series of sets": view("time 4", "set 3 ragged"),
    "cube": view("set 2", "columns 3", "tokens 4"),
}
DATA = {
    "table": view("columns 4", channels=1, codes=(3, 30)),
    "wide table": view("columns 40", channels=1, codes=(3,)),
    "codes alone": view("columns 0", channels=1, codes=(5,)),
    "wave": view("time 3000 ragged", channels=1),
    "one number": view("time 1", channels=1),
    "film": view("time 3", "space 40", "space 2", channels=2),
    "images of a set": view("set 3 ragged", "space 9", "space 30", channels=1, codes=(4,)),
    "spectra": view("time 70 ragged", "tokens 50", channels=1),
    "hyperspectral": view("space 6", "space 6", channels=300),
    "set": view("set 5", channels=2),
}
INNER = [p for p in PRIMITIVES if p.symbol not in ("encoder", "tokeniser")]
PAIRS = [(p.name, name) for p in INNER for name, v in FEATURES.items() if p.accepts(v)]
TOKENS = [(p.name, name) for p in PRIMITIVES if p.symbol == "tokeniser" for name, v in DATA.items() if p.accepts(v)]


def filled(name: str) -> Config:
    """A derivation with the simplest parts in its slots."""
    slots = KNOWN[name].parts.items()
    return Config(name, {}, {s: (FILL[slot.symbol],) * max(slot.least, min(1, slot.most)) for s, slot in slots})


def variants(name: str) -> list[Config]:
    """The derivation at its defaults, and at numbers drawn twice."""
    rng = np.random.default_rng(0)
    return [filled(name), *(grammar.sample(filled(name), KNOWN, rng) for _ in range(2))]


def test_names_are_unique_and_ranges_hold_their_defaults():
    assert len(KNOWN) == len(PRIMITIVES) + len(ENCODERS)
    assert all(r.holds(r.default) for p in KNOWN.values() for r in p.space().values())
    assert all(n in p.space() for p in KNOWN.values() for n in p.loose)
    assert {p for p, _ in [*PAIRS, *TOKENS]} | {"stack"} == {p.name for p in PRIMITIVES}


@pytest.mark.parametrize(("name", "where"), PAIRS)
def test_features_in_features_out(name, where):
    for config in variants(name):
        testing.check_features(config, FEATURES[where], KNOWN)


@pytest.mark.parametrize(("name", "where"), TOKENS)
def test_tokenisers_take_the_data_as_they_come(name, where):
    comes = DATA[where]
    given = testing.rows_of_lengths(comes, missing=0.1)
    for config in variants(name):
        gives = grammar.flow(config, comes, KNOWN)
        built = module(config, comes, KNOWN).train()
        x, mask = built(*given)
        assert x.shape == (5, *gives.shape)
        assert torch.isfinite(x).all()
        ragged = [a for a in gives.axes if a.ragged]
        assert (mask is None) == (not ragged)
        assert mask is None or mask.shape == (5, ragged[0].size)
        places = int(np.prod([a.size for a in gives.axes]))
        assert places <= PLACES
        assert not gives.axes or places * gives.channels**2 <= WORK * 1.01
        x.square().sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in built.parameters() if p.grad is not None)


SIGNS = {
    "resnet": ({"basic", "basic-down"}, view("space 28", "space 28", channels=1)),
    "mobilenet": ({"inverted", "inverted-down"}, view("space 28", "space 28", channels=1)),
    "efficientnet": ({"inverted", "inverted-down"}, view("space 28", "space 28", channels=1)),
    "resnet-1d": ({"basic", "basic-down"}, view("time 200", channels=1)),
    "inception-time": ({"inception", "residual", "in-turn"}, view("time 200", channels=1)),
    "recurrent": ({"gru", "plain", "ends"}, view("time 200", channels=1)),
    "sequence-transformer": ({"attention", "residual", "channel-mlp"}, view("time 200", channels=1)),
    "mlp-mixer": ({"token-mlp", "residual", "channel-mlp"}, view("space 28", "space 28", channels=1)),
    "folded-resnet": ({"reshape", "basic", "basic-down"}, view("columns 64", channels=1)),
    "mlp": ({"flatten", "plain", "dense"}, view("columns 8", channels=1)),
    "deep-sets": ({"elements", "dense", "mean-max"}, view("set 8", channels=3)),
    "ft-transformer": ({"columns", "attention", "attention-pool"}, view("columns 8", channels=1)),
}


@pytest.mark.parametrize("name", SIGNS)
def test_named_architectures_are_points_of_the_grammar(name):
    signs, comes = SIGNS[name]
    rng = np.random.default_rng(2)
    for config in (Config(name), *(grammar.sample(Config(name), KNOWN, rng) for _ in range(5))):
        meant = grammar.unfolded(config, comes, KNOWN)
        assert meant.production == "stack"
        assert grammar.check(meant, KNOWN) == []
        assert grammar.flow(config, comes, KNOWN).axes == ()
    assert signs <= {node.production for _, node in grammar.unfolded(Config(name), comes, KNOWN).walk()}


def test_batch_norm_is_torchs():
    x = torch.randn(7, 5, 4, 6)  # (B, H, W, C)
    own, torchs = BatchNorm(6).train(), nn.BatchNorm2d(6).train()
    for _ in range(3):
        assert torch.allclose(own(x), torchs(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), atol=1e-5)
    assert torch.allclose(own.running_var, torchs.running_var, atol=1e-6)
    assert torch.allclose(own.eval()(x), torchs.eval()(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), atol=1e-5)


def test_batch_norm_does_not_count_padding():
    x = torch.randn(2, 6, 3)
    mask = torch.tensor([[True] * 6, [True] * 2 + [False] * 4])
    plain, masked = BatchNorm(3).train(), BatchNorm(3).train()
    data = torch.cat([x[0], x[1, :2]])  # (8, 3)
    assert torch.allclose(masked(x, mask.unsqueeze(2))[0], plain(data)[:6], atol=1e-5)
    assert torch.allclose(masked.running_var, plain.running_var, atol=1e-6)
    before = masked.running_mean.clone()
    assert torch.isfinite(masked(x, torch.zeros(2, 6, 1, dtype=torch.bool))).all()
    assert torch.equal(masked.running_mean, before)


@pytest.mark.parametrize("kind", [Dropout, DropPath])
def test_dropout_keeps_the_expectation_and_rests_when_not_training(kind):
    torch.manual_seed(0)
    x, drop = torch.ones(4000, 3, 2), kind(0.25)
    out = drop.train()(x)
    assert (out == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert out.mean().item() == pytest.approx(1.0, abs=0.03)
    assert torch.equal(drop.eval()(x), x)
    assert kind is Dropout or bool((out.flatten(1) == out.flatten(1)[:, :1]).all())


def test_scan_is_the_recurrence():
    keep, add = torch.rand(2, 13, 3), torch.randn(2, 13, 3)
    state, found = torch.zeros(2, 3), []
    for t in range(13):
        state = keep[:, t] * state + add[:, t]
        found.append(state)
    assert torch.allclose(scan(keep, add), torch.stack(found, dim=1), atol=1e-5)


def test_windows_as_long_as_the_axis_see_what_attention_sees():
    comes = view("time 12 ragged")
    local = module(Config("local-attention", {"window": 64}), comes, KNOWN).eval()
    whole = module(Config("attention"), comes, KNOWN).eval()
    whole.load_state_dict(local.state_dict())
    x, _, mask = testing.rows_of_lengths(comes)
    assert torch.allclose(local(x, mask)[0][1:], whole(x, mask)[0][1:], atol=1e-5)


def test_backward_recurrence_starts_at_the_end_of_the_data():
    for name in ("gru", "lstm", "linear-recurrence"):
        long = module(Config(name), view("time 20 ragged"), KNOWN).eval()
        short = module(Config(name), view("time 10"), KNOWN).eval()
        short.load_state_dict(long.state_dict())
        x = torch.randn(2, 20, 9)
        mask = torch.arange(20).expand(2, -1) < 10
        assert torch.allclose(long(x, mask)[0][:, :10], short(x[:, :10], None)[0], atol=1e-5)


STACKABLE = [n for n, (signs, _) in SIGNS.items() if "gru" not in signs]


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # pytest forgets what the module asked for
@pytest.mark.parametrize("name", STACKABLE)
def test_configs_that_differ_in_loose_numbers_train_as_one_batch(name):
    comes = SIGNS[name][1]
    still = dict.fromkeys(KNOWN[name].loose, 0.0)
    nets = [module(Config(name, {**still, **other}), comes, KNOWN).train() for other in ({}, {"dropout": 0.4})]
    assert all(getattr(m, "stackable", True) for m in nets[0].modules())
    x = testing.rows_of_lengths(comes)
    parameters, buffers = stack_module_state(nets)
    out = vmap(lambda p, b: functional_call(nets[0], (p, b), x), randomness="different")(parameters, buffers)
    assert torch.allclose(out[0], nets[0](*x), atol=1e-3)  # without dropout: as if it were alone
    assert not torch.allclose(out[1], nets[1].eval()(*x), atol=1e-3)
    out.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in parameters.values() if p.grad is not None)
    for key, value in nets[0].named_buffers():
        if "running" in key:
            assert torch.allclose(buffers[key][0], value, atol=1e-4)


def test_a_shuffled_picture_is_seen_as_one_and_stays_so():
    comes = view("columns 49", channels=1)
    rng = np.random.default_rng(0)
    rough = rng.normal(size=(400, 9, 9))
    smooth = sum(np.roll(rough, (i, j), (1, 2)) for i in range(3) for j in range(3))[:, 2:, 2:].reshape(400, 49)
    order = rng.permutation(49)
    shuffled = smooth[:, order, None].astype(np.float32)
    built, again = (module(Config("seriate"), comes, KNOWN) for _ in range(2))
    built.see(shuffled)
    assert (
        not torch.equal(built.cells, again.cells)
        and (built.cells.sum(1) == 1).all()
        and (built.cells.sum(0) == 1).all()
    )
    laid = torch.einsum("bpc,pq->bq", torch.from_numpy(shuffled), built.cells).reshape(400, 7, 7).numpy()
    assert np.corrcoef(laid[:, 1:].ravel(), laid[:, :-1].ravel())[0, 1] > 0.4
    again.load_state_dict(built.state_dict())
    assert torch.equal(built.cells, again.cells)


def test_columns_are_folded_at_the_width_that_was_found():
    reshape, comes = KNOWN["reshape"], view("columns 64", channels=1)
    row = reshape.narrowed({"locality.width": float(np.log10(8))})["row"]
    drawn = {grammar.draw(row, np.random.default_rng(seed)) for seed in range(20)}
    assert drawn == {row.default} == {8}
    assert [axis.size for axis in reshape.picture({"row": 8}, comes).axes] == [8, 8]
    for unknown in ({}, {"locality.width": None}, {"locality.width": float(np.log10(200))}):
        assert reshape.narrowed(unknown) == {}


def test_recurrent_cells_say_that_they_cannot_be_stacked():
    built = module(Config("recurrent"), view("time 9", channels=1), KNOWN)
    assert not all(getattr(m, "stackable", True) for m in built.modules())


def hybrid() -> Config:
    """A derivation of what no named encoder has, over a series."""
    norm = Config("layer-norm")
    two = Config("parallel", {"gate": "position"}, {"mixer": (Config("local-attention"), Config("spectral"))})
    blocks = (
        Config("residual", {}, {"norm": (norm,), "mixer": (Config("linear-recurrence"),)}),
        Config("residual", {}, {"norm": (Config("batch-norm"),), "mixer": (two,)}),
    )
    stages = (Config("stage", {}, {"down": (Config("average"),), "block": blocks}),)
    begin = Config("steps", {"position": "learned", "width": 16})
    return Config("stack", {}, {"tokeniser": (begin,), "stage": stages, "pool": (Config("attention-pool"),)})


@pytest.mark.filterwarnings("ignore")  # of the exporter about itself
def test_onnx_agrees_on_what_is_hard_to_export():
    import onnxruntime

    comes = view("time 30 ragged", channels=2)
    torch.manual_seed(0)
    built = module(hybrid(), comes, KNOWN)
    values, _, mask = testing.rows_of_lengths(comes, missing=0.1)
    built.train()(values, None, mask)
    built.eval()

    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = built

        def forward(self, values, mask):
            return self.net(values, None, mask)

    batch = {0: torch.export.Dim("batch", min=1, max=1 << 20)}
    program = torch.onnx.export(
        Flat().eval(), (values, mask), dynamo=True, verbose=False, input_names=["v", "m"], dynamic_shapes=(batch, batch)
    )
    buffer = io.BytesIO()
    program.save(buffer)
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    for take in (slice(0, 5), slice(2, 3)):
        found = session.run(None, {"v": values[take].numpy(), "m": mask[take].numpy()})[0]
        assert np.allclose(found, built(values[take], None, mask[take]).detach(), atol=1e-4)
