"""Stage 3, propose: what past runs say about a new task: odds by family, a forecast, the configs to try first."""

from .leanings import Blocks
from .lessons import Lesson, train
from .meta import propose
from .portfolio import Portfolio
from .ranker import RANKER, Judge, Ranker
from .regret import Here
from .soft import moved, spread
from .words import Vocabulary

__all__ = [
    "RANKER",
    "Blocks",
    "Here",
    "Judge",
    "Lesson",
    "Portfolio",
    "Ranker",
    "Vocabulary",
    "moved",
    "propose",
    "spread",
    "train",
]
