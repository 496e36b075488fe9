"""Stage 4, search: proposals in, trials out, within a budget. Knows neither who proposes nor what is fitted."""

from .loop import Budget, Clock, search
from .strategy import Strategy

__all__ = ["Budget", "Clock", "Strategy", "search"]
