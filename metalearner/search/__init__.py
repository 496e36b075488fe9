"""Stage 4, search: proposals in, trials out, within a budget. Knows neither who proposes nor what is fitted."""

from .loop import Budget, Clock, first_number, search
from .strategy import Strategy, quick

__all__ = ["Budget", "Clock", "Strategy", "first_number", "quick", "search"]
