"""Several kinds of data in one row: texts, pictures, recordings, and plain columns beside them."""

from __future__ import annotations

from metalearner.hookspecs import hookimpl
from metalearner.kinds import Family, Learner, Modality, Production, Transform


@hookimpl
def register_modalities() -> list[Modality]:
    """The modality "multimodal"."""
    from .modality import Multimodal

    return [Multimodal()]


@hookimpl
def register_transforms() -> list[Transform]:
    """The transform "multimodal"."""
    from .transform import EachByItsOwn

    return [EachByItsOwn()]


@hookimpl
def register_productions() -> list[Production]:
    """The root of fused networks, and the ways to fuse."""
    from .fusion import PRODUCTIONS

    return list(PRODUCTIONS)


@hookimpl
def register_learners() -> list[Learner]:
    """Networks over several views."""
    from .fusion import FusedLearner

    return [FusedLearner()]


@hookimpl
def register_families() -> list[Family]:
    """One for each way to fuse."""
    from .fusion import FAMILIES

    return list(FAMILIES)
