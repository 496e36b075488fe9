"""Whether what a plugin needs is on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """Something `metalearner doctor` examines. `examine` says whether it works here, and a line about it for people."""

    name: str
    examine: Callable[[], tuple[bool, str]]
