"""Where data come from: the name of a card, a file, a table in memory."""

from .find import Found, find

__all__ = ["Found", "find"]
