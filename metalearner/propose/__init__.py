"""Stage 3, propose: what past runs say about a new task: odds by family, a forecast, the configs to try first."""

from .meta import propose
from .portfolio import Portfolio
from .regret import Here

__all__ = ["Here", "Portfolio", "propose"]
