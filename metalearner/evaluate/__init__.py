"""Stage 4, evaluation: the packaged ensemble on the sealed test, once, beside a naive baseline, and why it is not better."""

from .answers import Answers, certain, reaches, score
from .causes import Evidence
from .evaluate import evaluate

__all__ = ["Answers", "Evidence", "certain", "evaluate", "reaches", "score"]
