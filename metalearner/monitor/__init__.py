"""Stage 6, monitoring: whether new rows still look like those the model learnt from, and how well it does on them."""

from .coverage import coverage
from .monitor import monitor, shifted
from .reference import reference
from .report import Coverage, Performance, Shift, ShiftReport

__all__ = ["Coverage", "Performance", "Shift", "ShiftReport", "coverage", "monitor", "reference", "shifted"]
