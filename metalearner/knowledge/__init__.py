"""Stage 3, knowledge: records of past runs as text, their working copy, the nearest ones, and what may be kept."""

from .base import LEARNT, SHIPPED, TRAINED, Base
from .memory import Memory, aligned
from .plane import plane
from .trust import check_experience

__all__ = ["LEARNT", "SHIPPED", "TRAINED", "Base", "Memory", "aligned", "check_experience", "plane"]
