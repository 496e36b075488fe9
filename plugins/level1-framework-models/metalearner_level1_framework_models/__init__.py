"""Level 1: named architectures in PyTorch, and learners without gradients."""

from __future__ import annotations

from metalearner.hookspecs import hookimpl
from metalearner.kinds import Family, Learner, Production


@hookimpl
def register_productions() -> list[Production]:
    """The grammar of networks, named points of it, and the roots of the learners without gradients."""
    from .encoders import ENCODERS
    from .grammar import PRIMITIVES
    from .learners import LEARNER_PRODUCTIONS

    return [*PRIMITIVES, *ENCODERS, *LEARNER_PRODUCTIONS]


@hookimpl
def register_learners() -> list[Learner]:
    """Linear models, boosted trees, random convolutions; networks over samples."""
    from .learners import LEARNERS

    return list(LEARNERS)


@hookimpl
def register_families() -> list[Family]:
    """Named architectures and classical models with their presets."""
    from .classic_families import CLASSIC_FAMILIES
    from .families import NET_FAMILIES
    from .pictured_families import PICTURED_FAMILIES
    from .table_families import TABLE_FAMILIES
    from .waveforms import FAMILY

    return [*NET_FAMILIES, *TABLE_FAMILIES, *PICTURED_FAMILIES, *CLASSIC_FAMILIES, FAMILY]
