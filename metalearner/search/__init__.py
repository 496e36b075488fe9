"""Stage 4, search: proposals in, trials out, within a budget. Knows neither who proposes nor what is fitted."""

from . import ledger
from .clock import Budget, Clock, interruptible
from .handover import Handover
from .ladder import Ladder
from .loop import Search, first_number
from .owed import owed, price, shared
from .priors import quick
from .rungs import Rungs

__all__ = [
    "Budget",
    "Clock",
    "Handover",
    "Ladder",
    "Rungs",
    "Search",
    "first_number",
    "interruptible",
    "ledger",
    "owed",
    "price",
    "quick",
    "shared",
]
