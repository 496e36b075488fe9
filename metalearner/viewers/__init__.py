"""Other people's programs on our runs: what they read is made on demand, from what the run has written anyway."""

from .launch import look

__all__ = ["look"]
