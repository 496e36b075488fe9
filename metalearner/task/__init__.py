"""Stage 1, task formulation: a schema and the user's words become a Task."""

from .formulate import Wish, find_target, formulate

__all__ = ["Wish", "find_target", "formulate"]
