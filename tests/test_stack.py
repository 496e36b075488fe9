"""Networks trained side by side are the networks that are trained alone; a fit gone on with is the fit that never stopped."""

from __future__ import annotations

import time
from types import ModuleType

import numpy as np
import pytest
import torch

from metalearner import accelerator, plugins
from metalearner.arrays import Fold, Tensor
from metalearner.hookspecs import hookimpl
from metalearner.kinds import Aim, Production, Rung
from metalearner.ranges import Choice, Float, Int
from metalearner.records import Axis, Config, View
from metalearner.train import optimisers
from metalearner.train.fits import OVERRIDE
from metalearner.train.goal import ManyRows
from metalearner.train.net import NetLearner
from metalearner.train.schedule import Pace


class Dropout(torch.nn.Module):
    """A rate in a buffer, so that it may differ between networks of a stack."""

    def __init__(self, rate):
        super().__init__()
        self.register_buffer("rate", torch.tensor(float(rate)), persistent=False)

    def forward(self, x):
        return x * ((torch.rand_like(x) >= self.rate) / (1 - self.rate)) if self.training else x


class Stubborn(torch.nn.Module):
    """What it does depends on the data: vmap cannot take it."""

    def forward(self, x):
        return x if x.sum() > 0 else x * 1.0


class TwoLayers(Production):
    """A small perceptron."""

    name, symbol, loose = "two-layers", "encoder", ("dropout",)

    def space(self):
        return {
            "width": Int(4, 4096, 16),
            "dropout": Float(0.0, 0.9, 0.0),
            "norm": Choice(("none", "batch")),
            "oddity": Choice(("none", "control-flow", "refuses", "two-members")),
        }

    def build(self, numbers, view, parts):
        nn, width, oddity = torch.nn, numbers["width"], numbers["oddity"]
        norm = nn.BatchNorm1d(width) if numbers["norm"] == "batch" else nn.Identity()
        last = Stubborn() if oddity == "control-flow" else nn.Identity()
        last.stackable = oddity != "refuses"
        layers = nn.Sequential(
            nn.Linear(view.shape[0], width), norm, nn.ReLU(), Dropout(numbers["dropout"]), nn.Linear(width, width), last
        )

        class Module(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers, self.width, self.members = layers, width, 1 + (oddity == "two-members")

            def forward(self, values, codes=None, mask=None):
                found = self.layers(torch.nan_to_num(values.flatten(1)))
                return found if self.members == 1 else torch.stack([found, found.flip(1)], 1)

        return Module()


@pytest.fixture(scope="module")
def aim():
    module = ModuleType("two_layers")
    module.register_productions = hookimpl(lambda: [TwoLayers()])
    registry = plugins.load(extra=[module])
    state = {"classes": ["a", "b", "c"], "counts": [100, 100, 100]}
    return Aim(registry.outputs["classification"], state, registry.metrics["accuracy"], registry)


def fold(index, rows=300, columns=6):
    """A table of three classes, cut by two planes."""
    rng = np.random.default_rng([7, index])
    x = rng.normal(size=(rows, columns)).astype(np.float32)
    y = ((x[:, 0] + x[:, 1] > 0).astype(np.int64) + (x[:, 2] > x[:, 3])).astype(np.int64)
    cut = rows * 4 // 5
    view = {"table": View((Axis("columns", columns),), 1)}
    train, valid = ({"table": Tensor(part[..., None])} for part in (x[:cut], x[cut:]))
    return Fold(index, view, train, y[:cut], valid, y[cut:])


FOLDS = [fold(0), fold(1)]


def config(recipe=None, **encoder):
    recipe = {"lr": 5e-3, "epochs": 10, "patience": 60, "batch_size": 32, **(recipe or {})}
    return Config("net", {}, {"encoder": (Config("two-layers", encoder),), "recipe": (Config("gradient", recipe),)})


FULL = Rung(seed=1)


def fit(aim, configs, folds=FOLDS, rung=FULL, resume=None):
    return list(NetLearner().fit(configs, folds, aim, rung, resume or [None] * len(configs)))


def alone(monkeypatch, *given, **named):
    monkeypatch.setenv(OVERRIDE, "1")
    found = fit(*given, **named)
    monkeypatch.delenv(OVERRIDE)
    return found


def saved(fitted, folder, folds=None):
    """The models of a fit on disk, as the objective leaves them."""
    for i, model in enumerate(fitted.models):
        if folds is None or i in folds:
            (folder / str(i)).mkdir(parents=True)
            model.save(folder / str(i))
    return folder


def same(one, other, atol):
    for a, b, part in zip(one.models, other.models, FOLDS):
        np.testing.assert_allclose(a.predict(part.valid), b.predict(part.valid), atol=atol)


LOOSE = [
    {"lr": 1e-2},
    {"weight_decay": 0.2, "label_smoothing": 0.1},
    {"schedule": "one-cycle"},
    {"epochs": 7},
    {"ema": 0.99},
]


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("oddity", ["none", "two-members"])
def test_side_by_side_is_one_by_one(aim, monkeypatch, optimiser, oddity):
    configs = [config({**loose, "optimiser": optimiser}, oddity=oddity) for loose in LOOSE]
    together, singly = fit(aim, configs), alone(monkeypatch, aim, configs)
    for one, other in zip(together, singly):
        assert one.facts["batch"] == len(configs) and other.facts["batch"] == 1
        for a, b in zip(one.models, other.models):
            theirs = b.net.state_dict()
            for name, tensor in a.net.state_dict().items():
                torch.testing.assert_close(tensor, theirs[name], atol=1e-4, rtol=1e-3)
        np.testing.assert_allclose(one.facts["curve"], other.facts["curve"], atol=1e-4)
        assert one.facts["epochs"] == other.facts["epochs"]


def test_with_norms_and_dropout_the_losses_are_alike(aim, monkeypatch):
    configs = [config({"lr": lr}, norm="batch", dropout=0.2) for lr in (2e-3, 4e-3, 6e-3, 8e-3)]
    together, singly = fit(aim, configs), alone(monkeypatch, aim, configs)
    last = [np.mean([f.facts["curve"][-1] for f in found]) for found in (together, singly)]
    first = together[0].facts["curve"][0]
    assert abs(last[0] - last[1]) < 0.15 * first and max(last) < 0.7 * first


def test_rates_of_dropout_may_differ_within_a_stack(aim):
    few, many = fit(aim, [config(dropout=0.0), config(dropout=0.9)])
    assert few.facts["batch"] == 2
    assert few.facts["curve"][-1] < many.facts["curve"][-1] - 0.1


def test_the_same_seed_gives_the_same_models(aim):
    configs = [config({"mixup": m, "augment": 1.0}, dropout=0.3, norm="batch") for m in (0.0, 0.3)]
    for one, other in zip(fit(aim, configs), fit(aim, configs)):
        same(one, other, 1e-6)


def test_patience_ends_each_network_by_itself(aim, monkeypatch):
    configs = [config({"epochs": 40, "patience": p, "lr": lr}) for p, lr in ((3, 0.1), (60, 1e-3), (4, 0.05))]
    together, singly = fit(aim, configs), alone(monkeypatch, aim, configs)
    assert (
        [f.facts["stopped"] for f in together] == [f.facts["stopped"] for f in singly] == ["patience", "", "patience"]
    )
    assert together[1].facts["epochs"] == 40 > together[0].facts["epochs"]
    np.testing.assert_allclose(together[1].facts["curve"], singly[1].facts["curve"], atol=1e-3)


@pytest.mark.parametrize("batch", ["1", "64"])
def test_going_on_is_never_having_stopped(aim, monkeypatch, tmp_path, batch):
    monkeypatch.setenv(OVERRIDE, batch)
    configs = [
        config({"ema": 0.99, "mixup": 0.2}, dropout=0.2, norm="batch"),
        config({"lr": 1e-3, "epochs": 8}, dropout=0.1, norm="batch"),
    ]
    straight = fit(aim, configs)
    first = fit(aim, configs, rung=Rung(0.3, seed=1))
    assert first[0].facts["epochs"] == 3
    resume = [saved(f, tmp_path / str(i)) for i, f in enumerate(first)]
    for one, other in zip(straight, fit(aim, configs, resume=resume)):
        assert one.facts["curve"] == other.facts["curve"]
        same(one, other, 1e-5)


def test_what_was_begun_in_a_stack_can_be_gone_on_with_alone(aim, monkeypatch, tmp_path):
    configs = [config(), config({"lr": 1e-3})]
    straight = alone(monkeypatch, aim, configs)
    resume = [saved(f, tmp_path / str(i)) for i, f in enumerate(fit(aim, configs, rung=Rung(0.3, seed=1)))]
    for one, other in zip(straight, alone(monkeypatch, aim, configs, resume=resume)):
        same(one, other, 1e-3)


def test_folds_not_fitted_before_begin_beside_those_that_were(aim, tmp_path):
    (straight,) = fit(aim, [config()])
    (first,) = fit(aim, [config()], folds=FOLDS[:1], rung=Rung(0.3, seed=1))
    (second,) = fit(aim, [config()], resume=[saved(first, tmp_path / "0")])
    same(straight, second, 1e-3)


def test_a_finished_fit_is_handed_back_as_it_is(aim, tmp_path):
    impatient = config({"epochs": 60, "patience": 3, "lr": 0.1})
    (first,) = fit(aim, [impatient], rung=Rung(0.9, seed=1))
    folder = saved(first, tmp_path / "0")
    assert first.facts["stopped"] == "patience" and not list(folder.rglob("optimiser.safetensors"))
    (second,) = fit(aim, [impatient], resume=[folder])
    assert second.facts["epochs"] == first.facts["epochs"]
    same(first, second, 0)


@pytest.mark.parametrize("oddity", ["control-flow", "refuses"])
def test_what_cannot_be_stacked_is_trained_alone(aim, monkeypatch, oddity):
    configs = [config(oddity=oddity), config({"lr": 1e-3}, oddity=oddity)]
    for one, other in zip(fit(aim, configs), alone(monkeypatch, aim, configs)):
        assert not one.facts["stackable"] and one.facts["batch"] == 1
        same(one, other, 1e-6)


def test_a_large_network_is_trained_alone(aim):
    (found,) = fit(aim, [config({"epochs": 1}, width=512)], folds=FOLDS[:1])
    assert not found.facts["stackable"] and NetLearner().together({**found.facts, "folds": 2}) == 1


def test_how_many_fit_together_depends_on_size_time_and_the_switch(aim, monkeypatch):
    facts = {"stackable": True, "parameters": 10_000, "fit_seconds": 1.0, "folds": 2, "batch": 1}
    assert NetLearner().together(facts) == 10  # (4.5 + 2) x 4 - 4.5 networks take 4 s
    assert NetLearner().together({**facts, "fit_seconds": 1e-4}) == 32
    assert NetLearner().together({**facts, "fit_seconds": 1e-4, "parameters": 100_000}) == 5
    assert NetLearner().together({**facts, "fit_seconds": 100.0}) == 1
    monkeypatch.setenv(OVERRIDE, "1")
    assert NetLearner().together(facts) == 1


def test_a_stack_meets_its_deadline(aim):
    configs = [config({"epochs": 300, "lr": lr}) for lr in (1e-3, 2e-3, 3e-3)]
    fit(aim, configs[:1], rung=Rung(0.01))
    began = time.monotonic()
    found = fit(aim, configs, rung=Rung(1.0, began + 1.0))
    assert time.monotonic() - began < 1.3
    assert all(f.facts["stopped"] == "deadline" and f.facts["epochs"] >= 1 for f in found)


def test_under_pressure_the_schedule_ends_with_the_time():
    pace = Pace(time.monotonic() + 0.2, shortens=True, look=1.0)
    seen = []
    for step in range(10_000):
        time.sleep(0.002)
        if not pace.stepped(10_000 - step):
            break
        seen.append(pace.progress(step / 10_000, 0.0))
    assert seen == sorted(seen) and seen[3] < 0.01 and seen[-1] > 0.95
    easy = Pace(time.monotonic() + 60, shortens=True, look=1.0)
    for step in range(20):
        easy.stepped(20 - step)
    assert easy.progress(0.25, 0.0) == 0.25


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_descent_of_many_is_torchs_of_each(name):
    optimiser = next(o for o in optimisers.OPTIMISERS if o.name == name)
    rates, decays = [1e-2, 1e-3], [0.1, 0.0]
    generator = torch.Generator().manual_seed(0)
    weights, gradients = torch.randn(2, 5, generator=generator), torch.randn(6, 2, 5, generator=generator)
    singles = [torch.nn.Parameter(row.clone()) for row in weights]
    torchs = [optimiser.build([p], lr, d) for p, lr, d in zip(singles, rates, decays)]
    many = optimisers.descent(optimiser)(rates, decays, 5)
    for gradient in gradients:
        many.step(weights, gradient, np.ones(2))
        for parameter, own, step in zip(singles, gradient, torchs):
            parameter.grad = own.clone()
            step.step()
    torch.testing.assert_close(weights, torch.stack([p.detach() for p in singles]), atol=1e-6, rtol=1e-5)


def test_losses_of_many_are_those_of_each(aim):
    generator = torch.Generator().manual_seed(0)
    for loss in aim.registry.losses.values():
        classes = "classification" in loss.outputs
        width = 3 if classes else 1
        raw = torch.randn(4, 20, 2, width, generator=generator)
        target = torch.randint(0, 3, (4, 20), generator=generator)
        target = target if classes else target.float()
        found = ManyRows(loss, width, target.flatten())(raw, target)
        for k in range(4):
            for m in range(2):
                torch.testing.assert_close(found[k, :, m], loss(raw[k, :, m], target[k]))


def test_an_average_of_weights_is_judged_and_kept(aim):
    plain, averaged = fit(aim, [config({"epochs": 3}), config({"epochs": 3, "ema": 0.998})], folds=FOLDS[:1])
    a, b = (f.models[0].net.state_dict()["encoders.0.layers.0.weight"] for f in (plain, averaged))
    start = fit(aim, [config({"epochs": 3, "lr": 1e-5})], folds=FOLDS[:1])[0].models[0].net.state_dict()
    moved = [(w - start["encoders.0.layers.0.weight"]).norm() for w in (a, b)]
    assert 0.2 * moved[0] < moved[1] < 0.9 * moved[0]


def test_rows_of_one_fold_are_never_mixed_into_another(aim):
    configs = [config({"mixup": 0.4, "lr": lr}) for lr in (1e-3, 1e-2)]
    strange = fold(1)
    strange.train["table"].values[:] = 50.0
    for one, other in zip(fit(aim, configs), fit(aim, configs, folds=[FOLDS[0], strange])):
        np.testing.assert_allclose(
            one.models[0].predict(FOLDS[0].valid), other.models[0].predict(FOLDS[0].valid), atol=1e-6
        )


WIDE = {"width": 512}  # large enough for an accelerator


def test_what_does_not_work_on_an_accelerator_stays_on_the_processor(aim, monkeypatch):
    monkeypatch.setattr(accelerator, "device", lambda: "meta")  # takes networks, and gives no numbers back
    (fitted,) = fit(aim, [config({"epochs": 2}, **WIDE)])
    assert "device" not in fitted.facts and np.isfinite(fitted.facts["curve"]).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no accelerator")
def test_on_an_accelerator_a_network_becomes_what_it_becomes_on_the_processor(aim, monkeypatch, tmp_path):
    configs = [config({"ema": 0.99, "epochs": 6, "optimiser": o}, norm="batch", **WIDE) for o in ("adamw", "sgd")]
    there = fit(aim, configs)
    begun = [saved(f, tmp_path / str(i)) for i, f in enumerate(fit(aim, configs, rung=Rung(0.5, seed=1)))]
    monkeypatch.setattr(accelerator, "device", lambda: None)
    for one, other, gone_on in zip(there, fit(aim, configs), fit(aim, configs, resume=begun)):
        assert one.facts["device"] == "cuda" and "device" not in other.facts
        for found in (one, gone_on):
            np.testing.assert_allclose(found.facts["curve"], other.facts["curve"], atol=2e-2)
            same(found, other, 0.1)
