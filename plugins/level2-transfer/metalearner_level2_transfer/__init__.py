"""Level 2: tasks that were solved before, by pretrained models: frozen features, the last layers tuned, LoRA."""

from __future__ import annotations

from metalearner.hookspecs import hookimpl
from metalearner.kinds import Family, Learner, Production


@hookimpl
def register_productions() -> list[Production]:
    """The two ways of transfer, the recipe of the second, and every backbone whose weights are here."""
    from .backbones import present
    from .ways import Brief, FineTune, Frozen

    return [Frozen(), FineTune(), Brief(), *present()]


@hookimpl
def register_learners() -> list[Learner]:
    """What fits either way."""
    from .learners import FineTuneLearner, FrozenLearner

    return [FrozenLearner(), FineTuneLearner()]


@hookimpl
def register_families() -> list[Family]:
    """Several a backbone."""
    from .backbones import present
    from .families import families

    return families(present())
