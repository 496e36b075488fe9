"""Stage 3, knowledge: records of past runs as text, their working copy, the nearest ones, and what may be kept."""

from .base import LEARNT, SHIPPED, TRAINED, Base
from .embedder import Embedder
from .memory import Memory, aligned
from .plane import plane
from .trust import check_experience

__all__ = ["LEARNT", "SHIPPED", "TRAINED", "Base", "Embedder", "Memory", "aligned", "check_experience", "plane"]
