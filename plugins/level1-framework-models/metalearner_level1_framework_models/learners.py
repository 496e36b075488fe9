"""The learners this plugin brings beside networks, and the productions they interpret."""

from __future__ import annotations

from metalearner.foldwise import FoldwiseLearner
from metalearner.kinds import Learner, Production

from .forest import ForestLearner
from .kernel_ridge import KernelRidgeLearner
from .laid_out import LaidOutLearner
from .linear import LinearLearner
from .neighbours import NeighbourLearner
from .random_conv import RandomConvLearner
from .trees import TreesLearner
from .waveforms import PRODUCTION, WaveformLearner

_FOLDWISE: list[FoldwiseLearner] = [
    LinearLearner(),
    TreesLearner(),
    ForestLearner(),
    KernelRidgeLearner(),
    RandomConvLearner(),
    NeighbourLearner(),
]

LEARNERS: list[Learner] = [*_FOLDWISE, LaidOutLearner(), WaveformLearner()]
LEARNER_PRODUCTIONS: list[Production] = [
    *(learner.production for learner in _FOLDWISE), LaidOutLearner.production, PRODUCTION,
]  # fmt: skip
