"""Networks over samples: learned filters, and a learner that finds them beside a view."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metalearner_level1_framework_models.encoders import ENCODERS
from metalearner_level1_framework_models.grammar import PRIMITIVES
from metalearner_level1_framework_models.grammar.tokenisers import Sinc
from metalearner_level1_framework_models.learners import LEARNER_PRODUCTIONS
from metalearner_level1_framework_models.networks.sinc import Sinc as Module
from metalearner_level1_framework_models.waveforms import FAMILY, HEARD, WaveformLearner, network, samples_view

from metalearner.arrays import RAW, Tensor
from metalearner.kinds import Aim
from metalearner.outputs import METRICS, OUTPUTS
from metalearner.plugins import load
from metalearner.records import Axis, Config, View
from metalearner.testing import check_learner, check_production

KNOWN = {p.name: p for p in [*PRIMITIVES, *ENCODERS, *LEARNER_PRODUCTIONS]}
SPECTRUM = View((Axis("time", 12, True),), 4, raw="samples", channel_kind="bands")


@pytest.mark.parametrize("view", [samples_view(2500), samples_view(8000), View((Axis("time", 1500),), 1)])
def test_filters_keep_what_productions_promise(view):
    check_production(Sinc(), view, productions=KNOWN)


def test_only_long_series_of_one_channel_are_filtered():
    refused = [View((Axis("time", 500),), 1), View((Axis("time", 2000),), 2), View((Axis("space", 2000),), 1)]
    assert not any(Sinc().accepts(view) for view in refused)


def test_a_tone_is_loudest_in_the_filter_that_holds_it():
    view = samples_view(4096)
    numbers = {"width": 40, "positions": 256, "taps": 129, "activation": "relu", "position": "none"}
    sinc = Sinc().build(numbers, view, {})
    assert isinstance(sinc, Module)
    low = 0.005 + sinc.low.abs()
    high = low + 0.003 + sinc.wide.abs()
    assert (high <= 0.5001).all() and (high > low).all() and (low.diff() > 0).all()
    bank = sinc._filters().detach()
    for share in (0.05, 0.12, 0.3):
        tone = torch.sin(2 * np.pi * share * torch.arange(4096.0))
        loud = torch.nn.functional.conv1d(tone[None, None], bank[:, None]).square().mean(2)[0]
        inside = ((low <= share) & (share <= high)).nonzero()[:, 0]
        assert len(inside) and (loud.argmax() - inside).abs().min() <= 1


class Data:
    """Recordings of two tones beside a spectrogram that says nothing."""

    def __init__(self, rows=48):
        rng = np.random.default_rng(0)
        self.target = np.arange(rows) % 2
        self.heard = np.zeros((rows, 3000), np.int16)
        for i, label in enumerate(self.target):
            length = int(rng.integers(1500, 3000))
            tone = np.sin(2 * np.pi * (0.05 + 0.1 * label) * np.arange(length) + rng.uniform(0, 6))
            self.heard[i, :length] = 8000 * (tone + 0.3 * rng.normal(size=length))
        self.folds = [(np.arange(rows - 12), np.arange(rows - 12, rows))]

    def tensors(self, rows):
        mask = np.ones((len(rows), 12), bool)
        return {
            "signal": Tensor(np.zeros((len(rows), 12, 4), np.float32), mask=mask),
            "signal" + RAW: Tensor(self.heard[rows]),
        }

    def fold(self, index, transform):
        from metalearner.arrays import Fold

        train, valid = self.folds[index]
        return Fold(
            index,
            {"signal": SPECTRUM},
            self.tensors(train),
            self.target[train],
            self.tensors(valid),
            self.target[valid],
        )


@pytest.fixture(scope="module")
def aim():
    output = next(o for o in OUTPUTS if o.name == "classification")
    metric = next(m for m in METRICS if m.name == "accuracy")
    return Aim(output, output.fit(Data().target.astype(str)), metric, load())


@pytest.mark.parametrize("stem", ["sinc", "strided"])
def test_it_learns_from_samples_and_keeps_its_promises(aim, stem):
    recipe = Config("gradient", {"epochs": 12, "lr": 5e-3, "batch_size": 16, "augment": 0.2})
    numbers = {"stem": stem, "width": 12, "stages": 2, "length": 64}
    config, data, learner = Config("waveform", numbers, {"recipe": (recipe,)}), Data(), WaveformLearner()
    check_learner(learner, config, data, None, aim)  # type: ignore[arg-type]
    from metalearner.kinds import Rung

    fold = data.fold(0, None)
    fitted = next(iter(learner.fit([config], [fold], aim, Rung(seed=1), [None])))
    said = fitted.models[0].predict(fold.valid)
    assert (said.argmax(1) == fold.valid_target).mean() >= 0.9
    short = {"signal": fold.valid["signal"], "signal" + RAW: Tensor(data.heard[data.folds[0][1]][:, :2000])}
    assert fitted.models[0].predict(short).shape == said.shape, "rows to predict may all be shorter"


def test_a_higher_rung_goes_on_where_a_lower_one_ended(aim, tmp_path):
    from metalearner.kinds import Rung

    config = Config(
        "waveform", {"width": 8, "stages": 2, "length": 64}, {"recipe": (Config("gradient", {"epochs": 4}),)}
    )
    fold, learner = Data().fold(0, None), WaveformLearner()
    first = next(iter(learner.fit([config], [fold], aim, Rung(0.5, seed=1), [None])))
    (tmp_path / "0").mkdir()
    first.models[0].save(tmp_path / "0")
    further = next(iter(learner.fit([config], [fold], aim, Rung(1.0, seed=1), [tmp_path])))
    assert first.facts["epochs"] == 2 and further.facts["epochs"] == 4


def test_the_family_takes_part_only_where_samples_are_kept(aim):
    for raw in HEARD:
        assert FAMILY.accepts({"signal": View(SPECTRUM.axes, 4, raw=raw)})
    assert not FAMILY.accepts({"signal": View(SPECTRUM.axes, 4)}) and not FAMILY.accepts(
        {"image": View((), 3, raw="pixels")}
    )
    for preset in FAMILY.presets:
        about = WaveformLearner().look(preset, {"signal": SPECTRUM}, aim)
        assert 1_000 < about["parameters"] < 1_000_000 and about["multiply_adds"] > 0
        assert network(preset, samples_view(8000)).parts["recipe"] == preset.parts["recipe"]
