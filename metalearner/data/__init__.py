"""Stage 2, data preparation: a Task and a source become a Dataset, with folds and a sealed test."""

from .prepare import prepare
from .read import Reading, read
from .sealed import Sealed

__all__ = ["Reading", "Sealed", "prepare", "read"]
