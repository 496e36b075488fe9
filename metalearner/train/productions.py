"""The productions the core brings: the root of networks and the recipe that trains them."""

from __future__ import annotations

from collections.abc import Mapping

from ..kinds import POLICIES, Production, Slot
from ..ranges import Choice, Float, Int, Name, Range
from .optimisers import OPTIMISERS


class NetRoot(Production):
    """Net -> Encoder+ Fusion? Recipe: an encoder a view, in their order; the head comes from the task's output.

    What encoders give lies side by side unless something fuses it: a production of the symbol "fusion", whose module has
    `bind(widths)`, called once with the features of each encoder, which returns how many come out, and takes a list of
    features (B, members, width_i) -> (B, members, width).
    """

    name = "net"
    symbol = "learner"
    parts = {"encoder": Slot("encoder", 1, 16), "fusion": Slot("fusion", 0, 1), "recipe": Slot("recipe")}
    flow = "parallel"


class Gradient(Production):
    """The recipe of the one training loop.

    `optimiser` and `loss` are names from the registry, plugins' included; "auto" is the output's own loss.
    """

    name = "gradient"
    symbol = "recipe"
    loose = (
        "lr", "weight_decay", "epochs", "schedule", "warmup", "label_smoothing", "patience", "ema", "mixup", "augment",
        "flip", "policy",
    )  # fmt: skip

    def space(self) -> Mapping[str, Range]:
        """Learning rate and weight decay are AdamW's; epochs are the longest a fit may take.

        `ema` keeps an exponential average of the weights (Polyak and Juditsky 1992), 0 the weights themselves; `mixup` and
        `augment` are strengths, 0 is off. What `augment` does depends on the kinds of the axes; to columns it does nothing. `flip`
        and `policy` say what else it does at that strength: mirror pictures; jitter their colours or draw operations for them
        (RandAugment, Cubuk et al. 2020), blank bands of spectra (SpecAugment, Park et al. 2019).
        """
        return {
            "optimiser": Name("optimisers", tuple(o.name for o in OPTIMISERS)),
            "loss": Name("losses", ("auto",)),
            "lr": Float(1e-5, 0.1, 1e-3, log=True),
            "weight_decay": Float(1e-6, 0.3, 1e-2, log=True),
            "batch_size": Int(16, 512, 64, log=True),
            "epochs": Int(1, 300, 60, log=True),
            "schedule": Choice(("cosine", "one-cycle", "constant")),
            "warmup": Float(0.0, 0.2, 0.05),
            "label_smoothing": Float(0.0, 0.2, 0.0),
            "patience": Int(3, 60, 12, log=True),
            "ema": Choice((0.0, 0.99, 0.998)),
            "mixup": Float(0.0, 0.4, 0.0),
            "augment": Choice((0.0, 0.2, 0.5)),
            "flip": Choice((False, True)),
            "policy": Choice(POLICIES),
        }


PRODUCTIONS = [NetRoot(), Gradient()]
