"""Training: the loop learns, stops in time, goes on where it stopped; the ensemble is never worse than its best."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from metalearner import plugins, testing
from metalearner.arrays import Fields
from metalearner.data.cuts import lay_folds
from metalearner.dataset import Dataset
from metalearner.kinds import Aim, Fitted, Job, Production, Rung
from metalearner.records import Column, Config, DatasetCard, Proposal, Schema, Task, Trial
from metalearner.search import ledger
from metalearner.train.assemble import assemble, settle
from metalearner.train.ensemble import select
from metalearner.train.net import NetLearner
from metalearner.train.objective import Objective

NET = Config(
    "net", {}, {"encoder": (Config("one-layer"),), "recipe": (Config("gradient", {"lr": 0.01, "epochs": 30}),)}
)


class OneLayer(Production):
    """One hidden layer over a table's numbers."""

    name, symbol = "one-layer", "encoder"

    def build(self, numbers, view, parts):
        import torch

        class Module(torch.nn.Module):
            width, members = 16, 1

            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Linear(view.shape[0], 16)

            def forward(self, values, codes, mask):
                return torch.nan_to_num(self.layer(torch.nan_to_num(values.flatten(1)))).relu()

        return Module()


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """A table whose class is a product of signs, on disk, and what deals with it."""
    from types import ModuleType

    from metalearner.hookspecs import hookimpl

    module = ModuleType("plain_block")
    module.register_productions = hookimpl(lambda: [OneLayer()])
    registry = plugins.load(extra=[module])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    target = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    columns = tuple(Column(n, "number") for n in "abc")
    fields = Fields({c.name: x[:, i] for i, c in enumerate(columns)})
    folds, apart = lay_folds(fields, target, np.arange(400), rng)
    dataset = Dataset(
        DatasetCard("xor", "xor", "tabular", 400, "h"), Task("", "tabular", "y", "classification", "accuracy"),
        Schema("tabular", "x", 400, columns), Column("y", "category"),
        {"classes": ["0", "1"], "counts": [200, 200]}, fields, target, folds, apart,
    )  # fmt: skip
    aim = Aim(registry.outputs["classification"], dataset.state, registry.metrics["accuracy"], registry)
    return dataset, registry.transforms["table-scaling"], aim, tmp_path_factory.mktemp("trials")


def job(number, config=NET, share=1.0, seconds=60.0, resume="", seed=0):
    rung = Rung(share, time.monotonic() + seconds, 1, seed)
    return Job((number,), (Proposal(config, "plain", "test"),), rung, (resume,) if resume else ())


def done(objective, job):
    """The trial of a job with one proposal."""
    (trial,) = objective(job)
    return trial


@pytest.fixture
def objective(setting, tmp_path):
    dataset, transform, aim, _ = setting
    return Objective(dataset, transform, aim, tmp_path, time.monotonic())


def test_the_net_learner_keeps_the_contract(setting):
    dataset, transform, aim, _ = setting
    testing.check_learner(NetLearner(), NET, dataset, transform, aim)


def test_the_loop_learns_what_a_line_cannot(objective):
    trial = done(objective, job(0))
    assert trial.outcome == "ok", trial.error
    assert trial.score > 0.85 and trial.facts["parameters"] == 3 * 16 + 16 + 16 * 2 + 2
    assert (objective.trials / "00000" / "trial.json").exists()


def test_out_of_fold_predictions_cover_every_row_once(objective):
    done(objective, job(0, share=0.1))
    rows = np.load(objective.trials / "00000" / "rows.npy")
    assert sorted(rows) == list(range(400))


def test_a_resumed_fit_goes_on_where_it_stopped(objective):
    first = done(objective, job(0, share=0.2))
    second = done(objective, job(1, share=1.0, resume="00000"))
    assert first.facts["epochs"] == 6
    assert second.facts["epochs"] > 6 and second.facts["curve"][: len(first.facts["curve"])] == first.facts["curve"]
    assert second.score > first.score


def test_a_deadline_ends_a_fit_with_a_model(objective):
    endless = Config(
        "net", {}, {**NET.parts, "recipe": (Config("gradient", {"epochs": 300, "patience": 60, "batch_size": 16}),)}
    )
    start = time.monotonic()
    trial = done(objective, job(0, endless, seconds=1.0))
    assert time.monotonic() - start < 2.0
    assert trial.outcome == "ok" and trial.facts["stopped"] == "deadline"


def test_what_goes_wrong_becomes_the_outcome(objective):
    broken = Config("net", {}, {"encoder": (Config("nobody-has-this"),), "recipe": (Config("gradient"),)})
    trial = done(objective, job(0, broken))
    assert trial.outcome == "crash" and "nobody-has-this" in trial.error
    assert ledger.read(objective.trials)[0].outcome == "crash"


def test_a_cheap_fit_that_fails_is_no_full_one(objective):
    broken = Config("net", {}, {"encoder": (Config("nobody-has-this"),), "recipe": (Config("gradient"),)})
    cheap = job(0, broken)
    trial = done(objective, replace(cheap, rung=replace(cheap.rung, folds=1)))
    assert trial.outcome == "crash" and trial.rung == pytest.approx(1 / len(objective.dataset.folds))


def test_of_fits_side_by_side_each_takes_its_share_of_its_own_chunk(objective, monkeypatch):
    def chunks(self, configs, folds, aim, upto, resume):
        for i, config in enumerate(configs):
            if i % 2 == 0:
                time.sleep(0.2)
            yield Fitted(config, (), {"batch": 2})

    monkeypatch.setattr(NetLearner, "fit", chunks)
    monkeypatch.setattr(Objective, "_finished", lambda self, job, result: self._trial(job, result.seconds))
    one = job(0)
    trials = list(objective(replace(one, numbers=(0, 1, 2, 3), proposals=one.proposals * 4)))
    assert [t.seconds for t in trials] == pytest.approx([0.1] * 4, abs=0.04)


def test_an_unfitting_loss_is_refused(objective):
    wrong = Config("net", {}, {**NET.parts, "recipe": (Config("gradient", {"loss": "huber"}),)})
    assert "Unknown loss for classification 'huber'" in done(objective, job(0, wrong)).error


def stored(folder: Path, number, prediction, target, aim) -> Trial:
    (folder / f"{number:05d}").mkdir(parents=True)
    np.save(folder / f"{number:05d}" / "rows.npy", np.arange(len(target)))
    np.save(folder / f"{number:05d}" / "prediction.npy", prediction)
    score = aim.metric.score(target, prediction, aim.state)
    return Trial(number, Proposal(NET, "plain", "test"), "ok", 0, 1.0, score, score, 1.0, 1.0)


def test_an_ensemble_is_at_least_as_good_as_its_best_member(setting, tmp_path):
    dataset, _, aim, _ = setting
    rng = np.random.default_rng(0)
    truth = np.eye(2)[dataset.target]
    trials = []
    for i in range(6):
        noisy = np.clip(truth + rng.normal(0, 0.6, truth.shape), 0.01, None)
        trials.append(stored(tmp_path, i, noisy / noisy.sum(1, keepdims=True), dataset.target, aim))
    selection = select(trials, tmp_path, dataset, aim)
    assert selection.score > max(t.score for t in trials) + 0.02
    assert len(selection.weights) > 1 and sum(selection.weights.values()) == pytest.approx(1)


def test_the_assembled_ensemble_predicts_from_disk(setting, objective, registry):
    dataset, _, aim, _ = setting
    trials = [done(objective, job(0)), done(objective, job(1, seed=1))]
    selection = select(trials, objective.trials, dataset, aim)
    plain = assemble(selection, trials, objective.trials, dataset, aim, registry.modalities["tabular"])
    predictor = settle(plain, selection, dataset, aim)
    prediction = predictor.predict(dataset.fields)
    assert prediction.shape == (400, 2) and np.allclose(prediction.sum(1), 1)
    assert np.mean(prediction.argmax(1) == dataset.target) > 0.9
    regions = predictor.output.regions(dict(predictor.conformal), predictor.state, prediction)
    assert predictor.conformal["source"] == "out-of-fold rows" and all(regions)
