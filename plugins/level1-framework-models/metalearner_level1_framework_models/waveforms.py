"""Networks that learn from the samples of short recordings, where those are kept beside their spectrograms. No torch here.

The root `waveform` is an abbreviation within a fit: its learner brings the samples into a view of their own, one axis of time, and
hands a network over it to the learner of networks. Views of the data themselves know nothing of samples, so that nobody else pays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import RAW, Fold, Tensor, Tensors
from metalearner.kinds import (
    Aim,
    Choice,
    Family,
    Fitted,
    Float,
    Int,
    Learner,
    Model,
    Output,
    Production,
    Range,
    Rung,
    Slot,
)
from metalearner.records import Axis, Config, View

from .encoders.named import node
from .encoders.sequences import ResNet1dEncoder

NET = "net"
# What may lie beside a view that can be learnt from as samples: for networks from scratch, and for pretrained ones.
HEARD = ("samples", "wave")
# Samples by which the cost of a fit is judged before the recordings are seen: a second at 8 kHz.
TYPICAL = 8_000
# The loudest number of samples, and the softest recording that is made as loud as others.
LOUDEST, SOFTEST = 32767.0, 1e-4


class Waveform(Production):
    """Learner -> Recipe: a residual network along time, over learned filters of the samples."""

    name = "waveform"
    symbol = "learner"
    parts = {"recipe": Slot("recipe")}
    tags = ("convolution", "waveform")

    def space(self) -> Mapping[str, Range]:
        """`stem`: band-pass filters of two parameters each, or free strided convolutions; the rest as those of resnet-1d."""
        return {
            "stem": Choice(("sinc", "strided")),
            "width": Int(8, 96, 24, log=True),
            "depth": Int(1, 3, 1),
            "stages": Int(2, 4, 3),
            "kernel": Choice((7, 3, 5, 11)),
            "length": Choice((128, 64, 256, 512)),
            "dropout": Float(0.0, 0.5, 0.1),
        }


PRODUCTION = Waveform()
FAMILY = Family(
    "waveform-resnet",
    "Residual convolutions over learned filters of the samples themselves, without a spectrogram.",
    tuple(
        Config("waveform", numbers, {"recipe": (Config("gradient", recipe),)})
        for numbers, recipe in (
            ({}, {"lr": 4e-3, "weight_decay": 0.02, "epochs": 40, "augment": 0.2}),
            ({"stem": "strided"}, {"lr": 4e-3, "weight_decay": 0.02, "epochs": 40, "augment": 0.2}),
            (
                {"width": 32, "length": 256, "dropout": 0.2},
                {"lr": 3e-3, "weight_decay": 0.05, "epochs": 60, "label_smoothing": 0.05, "mixup": 0.1, "augment": 0.5},
            ),
        )
    ),
    lambda views: bool(_heard(views)),
    level=1,
    tags=("convolution", "waveform"),
)


def network(config: Config, view: View) -> Config:
    """The network that a config stands for, over samples in this view.

    >>> made = network(Config("waveform", {}, {"recipe": (Config("gradient"),)}), View((Axis("time", 8000, True),), 1))
    >>> made.parts["encoder"][0].parts["tokeniser"][0].production
    'sinc'
    """
    numbers = {name: config.numbers.get(name, r.default) for name, r in PRODUCTION.space().items()}
    encoder = ResNet1dEncoder().expand(numbers, view)
    if numbers["stem"] == "sinc":
        begin = node("sinc", {"width": numbers["width"], "positions": numbers["length"]})
        encoder = replace(encoder, parts={**encoder.parts, "tokeniser": (begin,)})
    return Config(NET, {}, {"encoder": (encoder,), "recipe": config.parts["recipe"]})


class WaveformLearner(Learner):
    """A network over samples, trained by the one training loop."""

    name = Waveform.name

    def accepts(self, views: Mapping[str, View], output: Output) -> bool:
        """One view that has recordings beside it."""
        return len(_heard(views)) == 1 and bool(output.losses)

    def fit(
        self, configs: Sequence[Config], folds: Sequence[Fold], aim: Aim, upto: Rung, resume: Sequence[Path | None]
    ) -> Iterator[Fitted]:
        """As the learner of networks does, on folds that hold samples."""
        name = _heard(folds[0].views)[0]
        samples = max(
            fold.train[name + RAW].values.shape[1] for fold in folds
        )  # of the longest recording that is learnt from
        view = samples_view(samples)
        learner: Learner = aim.registry.get("learners", NET)
        inside = [
            replace(
                fold, views={name: view}, state={}, train=_as_samples(fold.train, name, samples),
                valid=_as_samples(fold.valid, name, samples),
            )
            for fold in folds
        ]  # fmt: skip
        networks = [network(config, view) for config in configs]
        for config, fitted in zip(configs, learner.fit(networks, inside, aim, upto, resume)):
            yield Fitted(config, tuple(WaveformModel(m, name, samples) for m in fitted.models), fitted.facts)

    def load(self, folder: Path, aim: Aim) -> Model:
        """Read back what `WaveformModel.save` wrote."""
        about = json.loads((folder / "waveform.json").read_text())
        learner: Learner = aim.registry.get("learners", NET)
        return WaveformModel(learner.load(folder, aim), about["view"], about["samples"])

    def partial(self, config: Config) -> bool:
        """As of any network."""
        return True

    def look(self, config: Config, views: Mapping[str, View], aim: Aim) -> Mapping[str, Any]:
        """Parameters and work of a row, as if it were a second long."""
        view = samples_view(TYPICAL)
        learner: Learner = aim.registry.get("learners", NET)
        return learner.look(network(config, view), {"samples": view}, aim)


@dataclass(frozen=True)
class WaveformModel(Model):
    """A network over samples, and which view they lie beside."""

    inner: Model
    view: str
    samples: int

    def predict(self, tensors: Tensors) -> np.ndarray:
        """As the network does of the samples."""
        return self.inner.predict(_as_samples(tensors, self.view, self.samples))

    def save(self, folder: Path) -> None:
        """As the network does, and `waveform.json` beside it: a higher rung finds the network where it looks for one."""
        self.inner.save(folder)
        (folder / "waveform.json").write_text(json.dumps({"view": self.view, "samples": self.samples}))


def samples_view(samples: int) -> View:
    """One axis of time, one channel."""
    return View((Axis("time", samples, True),), 1)


def _heard(views: Mapping[str, View]) -> list[str]:
    return [name for name, view in views.items() if view.raw in HEARD]


def _as_samples(tensors: Tensors, name: str, samples: int) -> Tensors:
    """int16 (n, T) beside a view to float16 (n, samples, 1) with a mask, each recording as loud as the next."""
    raw = np.asarray(tensors[name + RAW].values)[:, :samples]
    values = np.zeros((len(raw), samples, 1), np.float16)
    mask = np.zeros((len(raw), samples), bool)
    for i, row in enumerate(raw):
        there = int(np.flatnonzero(row).max(initial=0)) + 1
        own = row[:there].astype(np.float32) / LOUDEST
        own -= own.mean()
        values[i, :there, 0] = own / max(SOFTEST, float(np.sqrt(np.square(own).mean())))
        mask[i, :there] = True
    return {name: Tensor(values, mask=mask)}
