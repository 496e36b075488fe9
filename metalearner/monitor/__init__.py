"""Stage 6, monitoring: whether new rows still look like those the model learnt from, and how well it does on them."""

from .monitor import monitor
from .reference import reference
from .report import Performance, Shift, ShiftReport

__all__ = ["Performance", "Shift", "ShiftReport", "monitor", "reference"]
