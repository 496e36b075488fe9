"""Library learning: subtrees that recur among the winners of unrelated data become productions of the grammar.

A subtree is kept when it recurs on enough groups, shortens the winners' descriptions (compression, as in DreamCoder, Ellis et
al. 2021), and networks that have it did better than other composed networks of the same data. It is called new only when it
has a part that looks like nothing in the catalogue, two levels deep.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import grammar
from .errors import PluginError
from .grammar import Learned
from .kinds import Production
from .knowledge import Base
from .plugins import Registry
from .records import Axis, Config, Experience, Record, View

LIBRARY = "library.json"
# Unrelated groups a subtree recurs on, and nodes it has.
GROUPS, SMALLEST, LARGEST = 3, 2, 12
# The best networks of a data set: at most so many, and none further than this from the best (the median has 1).
WINNERS, NEAR = 3, 0.3
# So many are kept, those that save most.
MOST = 12
# The catalogue is looked at this deep.
DEPTH = 2
# What the catalogue is written out for.
VIEWS = (
    View((Axis("columns", 64),), 1),
    View((Axis("time", 64),), 2),
    View((Axis("space", 16), Axis("space", 16)), 3),
    View((Axis("set", 16),), 3),
    View((Axis("tokens", 32),), 8),
)


@dataclass(frozen=True)
class Entry(Record):
    """A subtree that became a production, and why."""

    symbol: str
    meaning: Config
    groups: tuple[str, ...]  # among whose winners it recurs
    uses: int  # among winners
    saved: int  # nodes by which the winners' descriptions get shorter, its own counted
    gain: float  # regret of networks that have it less that of others composed for the same data, mean over groups
    new: bool  # a part of it looks like nothing in the catalogue

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        return Config.from_json(value) if name == "meaning" else super()._revive(name, value)

    @property
    def production(self) -> Learned:
        """What derivations can be made with."""
        return Learned(self.symbol, self.meaning, self.groups)

    def __str__(self) -> str:
        kind = "new" if self.new else "known to the catalogue"
        among = ", ".join(self.groups[:4]) + (f" and {len(self.groups) - 4} more" if len(self.groups) > 4 else "")
        shown = grammar.sketch(self.meaning)
        told = f"{self.uses} uses among winners of {among}; saves {self.saved} nodes; regret {self.gain:+.2f} against others"
        return f"{self.production.name} = {shown} ({self.symbol}, {kind}): {told}"


def mine(base: Base, registry: Registry, ids: Collection[str]) -> list[Entry]:
    """What recurs among the winners of these data sets; made ones have no say."""
    archive, groups = base.archive, base.groups()
    real = [i for i in ids if not base.cards()[i].synthetic]
    nets = {i: _networks(es) for i, es in archive.experiences(real).items()}
    found: dict[str, list[tuple[str, Config]]] = {}  # skeleton -> (group, subtree) of winners
    for i, regrets in nets.items():
        winners = sorted(regrets, key=lambda c: regrets[c][1])[:WINNERS]
        for c in winners:
            config, regret = regrets[c]
            if regret <= NEAR:
                for part in _subtrees(config, registry):
                    found.setdefault(part.skeleton.id, []).append((groups[i], part))
    catalogue = looks(registry)
    entries = []
    for skeleton, uses in found.items():
        among = sorted({group for group, _ in uses})
        size = len(uses[0][1].walk())
        saved = len(uses) * (size - 1) - (size + 1)
        gain = _gain(skeleton, frozenset(among), nets, groups, registry)
        if len(among) >= GROUPS and saved > 0 and gain is not None and gain < 0:
            meaning = _typical([part for _, part in uses], registry)
            symbol = registry.productions[meaning.production].symbol
            new = any(look(node) not in catalogue for _, node in meaning.walk())
            entries.append(Entry(symbol, meaning, tuple(among), len(uses), saved, round(gain, 3), new))
    return _largest(sorted(entries, key=lambda e: (-e.saved, e.id)))[:MOST]


def save(entries: Iterable[Entry], file: Path) -> None:
    """As JSON, for people to read too."""
    part = file.with_name(file.name + ".part")
    part.write_text(json.dumps([e.to_json() for e in entries], indent=1))
    part.replace(file)


def find(folders: Iterable[Path], registry: Registry) -> list[Entry]:
    """The first library that can be read; of it what the installed productions can say."""
    for folder in folders:
        try:
            entries = [Entry.from_json(e) for e in json.loads((folder / LIBRARY).read_text())]
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError) as problem:
            warnings.warn(f"knowledge base: {LIBRARY} cannot be read ({problem})", RuntimeWarning, stacklevel=2)
            continue
        return [e for e in entries if not grammar.check(e.meaning, registry.productions)]
    return []


def known(productions: Mapping[str, Production], entries: Iterable[Entry]) -> dict[str, Production]:
    """The productions that are installed, and those that were learnt."""
    return {**productions, **{e.production.name: e.production for e in entries}}


def _networks(experiences: Iterable[Experience]) -> dict[str, tuple[Config, float]]:
    """The networks of a data set by id, with their regret among networks: 0 the best, 1 the median."""
    skills: dict[str, list[float]] = {}
    configs: dict[str, Config] = {}
    for e in experiences:
        if e.outcome == "ok" and e.rung >= 1 and e.skill is not None and e.config.production == "net":
            skills.setdefault(e.config.id, []).append(e.skill)
            configs[e.config.id] = e.config
    means = {c: float(np.mean(s)) for c, s in skills.items()}
    if not means:
        return {}
    best, median = max(means.values()), float(np.median(list(means.values())))
    span = max(best - median, 0.005)
    return {c: (configs[c], (best - s) / span) for c, s in means.items()}


def _subtrees(config: Config, registry: Registry) -> Iterator[Config]:
    """Those inside an encoder that are worth a name: of some nodes, not too many."""
    for encoder in config.parts.get("encoder", ()):
        for path, node in encoder.walk():
            if path and node.production in registry.productions and SMALLEST <= len(node.walk()) <= LARGEST:
                yield node


def _gain(
    skeleton: str,
    among: frozenset[str],
    nets: Mapping[str, Mapping[str, tuple[Config, float]]],
    groups: Mapping[str, str],
    registry: Registry,
) -> float | None:
    """Mean over groups of the regret of composed networks with the subtree less that of those without; None for few groups.

    A group has a say only where the subtree recurs on enough others: what made it a candidate would judge in its own cause.
    """
    gaps: dict[str, list[float]] = {}
    for i, regrets in nets.items():
        if len(among - {groups[i]}) < GROUPS:
            continue
        sides: tuple[list[float], list[float]] = ([], [])
        for config, regret in regrets.values():
            if any(encoder.parts for encoder in config.parts.get("encoder", ())):
                has = any(part.skeleton.id == skeleton for part in _subtrees(config, registry))
                sides[0 if has else 1].append(min(regret, 2.0))
        if all(sides):
            gaps.setdefault(groups[i], []).append(float(np.mean(sides[0]) - np.mean(sides[1])))
    return float(np.mean([np.mean(g) for g in gaps.values()])) if len(gaps) >= GROUPS else None


def _typical(parts: list[Config], registry: Registry) -> Config:
    """The subtree with the middle of its numbers, and of choices the commonest."""
    values = [grammar.numbers(part, registry.productions) for part in parts]
    chosen: dict[str, Any] = {}
    for path in values[0]:
        told = [v[path] for v in values]
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in told):
            middle = sorted(told)[len(told) // 2]
            chosen[path] = middle
        else:
            chosen[path] = max(Counter(map(json.dumps, told)).items(), key=lambda item: (item[1], item[0]))[0]
            chosen[path] = json.loads(chosen[path])
    return grammar.with_numbers(parts[0], chosen)


def _largest(entries: list[Entry]) -> list[Entry]:
    """Without those that stand inside another one wherever they recur."""

    def inside(one: Entry, other: Entry) -> bool:
        parts = {node.skeleton.id for path, node in other.meaning.walk() if path}
        return one.meaning.skeleton.id in parts and set(one.groups) <= set(other.groups)

    return [e for e in entries if not any(inside(e, other) for other in entries)]


def looks(registry: Registry) -> set[str]:
    """How every part of every network of the catalogue looks, DEPTH deep."""
    found = set()
    for family in registry.families.values():
        for view in VIEWS:
            for preset in family.presets if family.presets[0].production == "net" else ():
                try:
                    plain = grammar.unfold(preset, {"x": view}, registry.productions)
                except (PluginError, KeyError):
                    continue
                found |= {look(node) for _, node in plain.walk()}
    return found


def look(config: Config, depth: int = DEPTH) -> str:
    """The skeleton down to a depth."""

    def cut(node: Config, left: int) -> Config:
        parts = {s: tuple(cut(c, left - 1) for c in cs) for s, cs in node.parts.items()} if left else {}
        return Config(node.production, {}, parts)

    return cut(config, depth).id
