"""Numbers by path: "lr" at the root, "encoder.0:width" below it. Searchers see one flat space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import unknown
from ..kinds import Production
from ..ranges import Choice, Float, Name, Range
from ..records import Config
from .types import Productions, production


def space(config: Config, productions: Productions) -> dict[str, Range]:
    """Every number this skeleton has, by path."""
    found: dict[str, Range] = {}
    for path, node in config.walk():
        for name, values in production(node, productions).space().items():
            found[address(path, name)] = values
    return found


def loose(config: Config, productions: Productions) -> dict[str, Range]:
    """The numbers that change no shape, by path: configs that differ in these alone can be trained as one batch."""
    found: dict[str, Range] = {}
    for path, node in config.walk():
        own = production(node, productions)
        ranges = own.space()
        found |= {address(path, name): ranges[name] for name in own.loose}
    return found


def given(config: Config) -> dict[str, Any]:
    """The numbers that a config names, by path."""
    return {address(path, k): v for path, node in config.walk() for k, v in node.numbers.items()}


def numbers(config: Config, productions: Productions) -> dict[str, Any]:
    """The value of every number, by path; what the config leaves open has its default."""
    named = given(config)
    return {path: named.get(path, values.default) for path, values in space(config, productions).items()}


def with_numbers(config: Config, values: Mapping[str, Any]) -> Config:
    """The same skeleton with these numbers by path; numbers that are not named stay as they are."""
    by_node: dict[str, dict[str, Any]] = {}
    for number, value in values.items():
        path, _, name = number.rpartition(":")
        by_node.setdefault(path, {})[name] = value
    return _with_numbers(config, by_node, "")


def _with_numbers(config: Config, by_node: Mapping[str, Mapping[str, Any]], path: str) -> Config:
    parts = {
        slot: tuple(_with_numbers(c, by_node, f"{path}/{slot}.{i}".lstrip("/")) for i, c in enumerate(children))
        for slot, children in config.parts.items()
    }
    return Config(config.production, {**config.numbers, **by_node.get(path, {})}, parts)


def complete(config: Config, productions: Productions) -> Config:
    """The config with every number written out, so that equal fits have equal identities."""
    return with_numbers(config, numbers(config, productions))


def check(config: Config, productions: Productions) -> list[str]:
    """What is wrong with a config: unknown productions or numbers, values out of range, wrong parts."""
    wrong: list[str] = []
    for path, node in config.walk():
        if node.production not in productions:
            wrong.append("".join(unknown("production", node.production, productions)[:1]))
            continue
        found = productions[node.production]
        ranges = found.space()
        wrong += [f"{node.production} has no number '{n}'" for n in node.numbers if n not in ranges]
        wrong += [
            f"{address(path, n)} must be in {ranges[n]}, is {v!r}"
            for n, v in node.numbers.items()
            if n in ranges and not ranges[n].holds(v)
        ]
        wrong += _check_parts(node, found, productions)
    return wrong


def _check_parts(node: Config, found: Production, productions: Productions) -> list[str]:
    """Slots that do not exist, hold too few or too many, or the wrong symbol."""
    wrong = [f"{node.production} has no slot '{slot}'" for slot in node.parts if slot not in found.parts]
    for slot, takes in found.parts.items():
        children = node.parts.get(slot, ())
        if not takes.least <= len(children) <= takes.most:
            wrong.append(f"{node.production}.{slot} takes {takes.least} to {takes.most} parts, has {len(children)}")
        wrong += [
            f"{node.production}.{slot} takes {takes.symbol}, not {c.production}"
            for c in children
            if c.production in productions and productions[c.production].symbol != takes.symbol
        ]
    return wrong


def sample(config: Config, productions: Productions, rng: np.random.Generator, near: float = 0.0) -> Config:
    """New numbers for a skeleton: uniform, or each kept with probability `near`."""
    held = numbers(config, productions)
    drawn = {
        path: held[path] if rng.random() < near else draw(values, rng)
        for path, values in space(config, productions).items()
    }
    return with_numbers(config, drawn)


def draw(values: Range, rng: np.random.Generator) -> Any:
    """One value, uniform in the range (or in its logarithm)."""
    if isinstance(values, Choice | Name):
        return values.options[int(rng.integers(len(values.options)))]
    if isinstance(values, Float):
        if values.log:
            drawn = math.exp(rng.uniform(math.log(values.low), math.log(values.high)))
            return min(max(drawn, values.low), values.high)  # exp(log(x)) may be past x by one ulp
        return float(rng.uniform(values.low, values.high))
    if values.log:
        return round(math.exp(rng.uniform(math.log(values.low), math.log(values.high))))
    return int(rng.integers(values.low, values.high + 1))


def address(path: str, name: str) -> str:
    """The path of a number: its node's path and its name."""
    return f"{path}:{name}" if path else name
