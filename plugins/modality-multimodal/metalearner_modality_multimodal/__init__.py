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
    """The roots of fused networks and of what looks at cells alone, and the ways to fuse."""
    from .cells import Cells
    from .fusion import PRODUCTIONS

    return [*PRODUCTIONS, Cells()]


@hookimpl
def register_learners() -> list[Learner]:
    """Networks over several views, and what looks at cells alone."""
    from .cells import CellsLearner
    from .fusion import FusedLearner

    return [FusedLearner(), CellsLearner()]


@hookimpl
def register_families() -> list[Family]:
    """One for each way to fuse, and for each learner on cells alone."""
    from . import cells, fusion

    return [*fusion.FAMILIES, *cells.FAMILIES]
