"""Stage 1, task formulation: a schema and the user's words become a Task."""

from .formulate import FEWEST_ROWS, FEWEST_UNMEASURED, Wish, find_target, formulate

__all__ = ["FEWEST_ROWS", "FEWEST_UNMEASURED", "Wish", "find_target", "formulate"]
