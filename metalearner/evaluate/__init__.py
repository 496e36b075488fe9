"""Stage 4, evaluation: the packaged ensemble on the sealed test, once, beside a naive baseline."""

from .evaluate import Answers, Evidence, evaluate, reaches, score

__all__ = ["Answers", "Evidence", "evaluate", "reaches", "score"]
