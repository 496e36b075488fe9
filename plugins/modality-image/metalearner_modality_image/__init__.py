"""Pictures: folders of class folders, tables with paths, arrays."""

from __future__ import annotations

from metalearner.hookspecs import hookimpl
from metalearner.kinds import Modality, Transform


@hookimpl
def register_modalities() -> list[Modality]:
    """The modality "image"."""
    from .modality import ImageModality

    return [ImageModality()]


@hookimpl
def register_transforms() -> list[Transform]:
    """The transform "image-scaling"."""
    from .scaling import ImageScaling

    return [ImageScaling()]
