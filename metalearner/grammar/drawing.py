"""A derivation drawn as indented text for people."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from ..records import Config
from .types import Productions, production


def outline(config: Config, productions: Productions | None = None) -> str:
    """The derivation as indented text: a line a node, its numbers beside it, equal neighbours once with how many they are.

    Slots come in the order in which data flow when `productions` are given, else by name; never as they were stored.

    >>> relu = Config("relu")
    >>> print(outline(Config("network", {"width": 64, "rate": 0.00123456}, {"layer": (relu, relu), "pool": (Config("mean"),)})))
    network  rate 0.00123, width 64
      layer x2: relu
      pool: mean
    """
    return "\n".join(_lines(config, productions, "", ""))


def sketch(config: Config) -> str:
    """The skeleton on one line.

    >>> sketch(Config("residual", {"rate": 0.1}, {"norm": (Config("layer-norm"),), "mixer": (Config("conv"), Config("gru"))}))
    'residual(conv, gru, layer-norm)'
    """
    parts = [sketch(part) for slot in sorted(config.parts) for part in config.parts[slot]]
    return config.production + (f"({', '.join(parts)})" if parts else "")


def _lines(node: Config, productions: Productions | None, role: str, indent: str) -> Iterator[str]:
    said = ", ".join(f"{name} {_number(value)}" for name, value in sorted(node.numbers.items()))
    yield f"{indent}{role}{node.production}" + (f"  {said}" if said else "")
    known = productions is not None and node.production in productions
    order = list(production(node, productions).parts) if known and productions is not None else []
    slots = [*(s for s in order if s in node.parts), *sorted(s for s in node.parts if s not in order)]
    for slot in slots:
        for part, equal in groupby(node.parts[slot]):
            times = len(list(equal))
            yield from _lines(part, productions, f"{slot} x{times}: " if times > 1 else f"{slot}: ", indent + "  ")


def _number(value: Any) -> str:
    """Three significant digits are enough to look at."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
