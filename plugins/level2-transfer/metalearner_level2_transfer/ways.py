"""Ways of transfer, as productions: on frozen features any learner, or the last layers tuned."""

from __future__ import annotations

from collections.abc import Mapping

from metalearner.kinds import POLICIES, Choice, Float, Int, Name, Production, Range, Slot


class Frozen(Production):
    """Learner -> Backbone+ Learner: the last one learns from what the others make of the data, each of what it reads."""

    name = "frozen"
    symbol = "learner"
    parts = {"backbone": Slot("backbone", 1, 4), "learner": Slot("learner")}
    tags = ("transfer",)

    def space(self) -> Mapping[str, Range]:
        """`beside`: whether the learner also sees the views that the backbones' data lie beside; those nobody reads it sees anyway."""
        return {"beside": Choice((False, True))}


class FineTune(Production):
    """Learner -> Backbone Brief: the last layers of the backbone are trained on, and a head with them."""

    name = "fine-tune"
    symbol = "learner"
    parts = {"backbone": Slot("backbone"), "recipe": Slot("brief")}
    tags = ("transfer", "network")

    def space(self) -> Mapping[str, Range]:
        """Which share of the layers is tuned, and how.

        `rate` is the last layer's share of the head's learning rate, `decay` what each layer further down has of the one
        above (discriminative rates, Howard and Ruder 2018). With `below` and a share of 1 also what lies below the layers is
        tuned, embeddings say, so that all weights are. "lora" trains differences of rank `rank` in the attention's
        queries and values instead of the weights (Hu et al. 2021).
        """
        return {
            "share": Choice((0.5, 0.25, 1.0)),
            "method": Choice(("weights", "lora")),
            "rank": Int(2, 32, 8, log=True),
            "rate": Float(0.01, 1.0, 0.1, log=True),
            "decay": Choice((0.8, 1.0, 0.6)),
            "below": Choice((False, True)),
        }


class Brief(Production):
    """A recipe for weights that know something already: few epochs."""

    name = "brief"
    symbol = "brief"
    loose = ("lr", "weight_decay", "epochs", "label_smoothing", "mixup", "augment", "flip", "policy")

    def space(self) -> Mapping[str, Range]:
        """As those of "gradient"; the learning rate is the head's.

        What is changed, mirrored and mixed is what the layers below gave: colours only where none lie below; words are never mixed.
        """
        return {
            "optimiser": Name("optimisers", ("adamw",)),
            "loss": Name("losses", ("auto",)),
            "lr": Float(1e-4, 1e-2, 1e-3, log=True),
            "weight_decay": Float(1e-4, 0.1, 1e-2, log=True),
            "batch_size": Int(8, 128, 32, log=True),
            "epochs": Int(1, 20, 3, log=True),
            "schedule": Choice(("cosine", "one-cycle")),
            "warmup": Choice((0.1,)),
            "label_smoothing": Float(0.0, 0.2, 0.0),
            "patience": Choice((3,)),
            "ema": Choice((0.0, 0.99)),
            "mixup": Choice((0.0, 0.2, 0.4)),
            "augment": Choice((0.0, 0.2, 0.5)),
            "flip": Choice((False, True)),
            "policy": Choice(POLICIES),
        }
