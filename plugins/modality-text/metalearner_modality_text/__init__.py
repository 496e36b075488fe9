"""Texts: tables with a column of them, folders of class folders; n-grams as a learner of its own."""

from __future__ import annotations

from metalearner.hookspecs import hookimpl
from metalearner.kinds import Family, Learner, Modality, Production, Transform


@hookimpl
def register_modalities() -> list[Modality]:
    """The modality "text"."""
    from .modality import TextModality

    return [TextModality()]


@hookimpl
def register_transforms() -> list[Transform]:
    """The transform "text-marks"."""
    from .marks import TextMarks

    return [TextMarks()]


@hookimpl
def register_productions() -> list[Production]:
    """The root of the learner of n-grams."""
    from .ngrams import NGrams

    return [NGrams()]


@hookimpl
def register_learners() -> list[Learner]:
    """A linear model of n-grams."""
    from .ngrams import NGramLearner

    return [NGramLearner()]


@hookimpl
def register_families() -> list[Family]:
    """n-grams with their presets."""
    from .ngrams import FAMILY

    return [FAMILY]
