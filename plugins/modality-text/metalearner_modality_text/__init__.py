"""Texts: tables with a column of them, folders of class folders; n-grams and networks over words as learners."""

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
    """The roots of both learners, and the tokeniser of words."""
    from .ngrams import NGrams
    from .symbols import Symbols, TextNet

    return [NGrams(), TextNet(), Symbols()]


@hookimpl
def register_learners() -> list[Learner]:
    """A linear model of n-grams, and networks over words."""
    from .ngrams import NGramLearner
    from .symbols import TextNetLearner

    return [NGramLearner(), TextNetLearner()]


@hookimpl
def register_families() -> list[Family]:
    """n-grams and networks over words with their presets."""
    from .ngrams import FAMILY
    from .symbols import FAMILIES

    return [FAMILY, *FAMILIES]
