"""The Embedder: descriptions as points that lie close where the same configs did well. It is what FAISS indexes.

A small network over the standardised numbers of a description, which of them could be measured, and the task sentence. It is
trained so that the cosine of two data sets is the rank correlation of what their common configs achieved there (behavioural
alignment, as in MetaBu, Rakotoarison et al. 2022). PyTorch trains it, NumPy runs it: to recall needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..records import Description
from ..space import Space

if TYPE_CHECKING:
    import torch

WIDTH, HIDDEN = 32, 64
# Configs that two data sets must have in common for their correlation to teach anything.
COMMON = 8
STEPS, RATE, DECAY = 1500, 3e-3, 3e-2
# The share of the numbers, and of the sentences, that are hidden in a step: nothing alone may be relied on.
HIDE = 0.3
# Pairs of one group all but repeat each other.
SIBLINGS = 0.2
# How an embedder is tested: parts that groups are left out in, neighbours that count, and data sets it takes to tell.
FOLDS, NEAR, FEWEST = 5, 15, 20


@dataclass(frozen=True)
class Embedder:
    """Weights by name, and the space that numbers are standardised in."""

    space: Space
    weights: Mapping[str, np.ndarray]

    def embed(self, descriptions: Sequence[Description]) -> np.ndarray:
        """(n, WIDTH) float32, each of length 1."""
        x = self.space.points(descriptions)
        hidden = x @ self.weights["first"] + self.weights["shift"]
        found = x @ self.weights["straight"] + hidden / (1 + np.exp(-hidden)) @ self.weights["second"]
        return np.ascontiguousarray(found / (np.linalg.norm(found, axis=1, keepdims=True) + 1e-9), dtype=np.float32)

    def save(self, file: Path) -> None:
        """One NPZ: the weights, and the space as JSON."""
        part = file.with_name(file.name + ".part.npz")
        space = np.frombuffer(json.dumps(self.space.to_json()).encode(), np.uint8)
        arrays: dict[str, Any] = {k: v.astype(np.float32) for k, v in self.weights.items()}
        np.savez_compressed(part, space=space, **arrays)
        part.replace(file)

    @classmethod
    def load(cls, file: Path) -> Self:
        """What `save` wrote. Raises OSError or ValueError where it is none."""
        with np.load(file, allow_pickle=False) as held:
            space = Space.from_json(json.loads(held["space"].tobytes()))
            return cls(space, {k: held[k] for k in ("first", "shift", "second", "straight")})


def train(
    descriptions: Mapping[str, Description],
    skills: Mapping[str, Mapping[str, float]],
    groups: Mapping[str, str],
    seed: int = 0,
) -> Embedder | None:
    """An embedder for data sets by id, from the skill of each config (by id) on them; None where too few have any in common."""
    import torch

    ids = sorted(i for i in descriptions if len(skills.get(i, ())) >= COMMON)
    target, weight = alignment(ids, skills, groups)
    if weight.sum() == 0:
        return None
    space = Space.fit([descriptions[i] for i in ids])
    x = torch.from_numpy(space.points([descriptions[i] for i in ids]))
    wanted, counted = (torch.from_numpy(v.astype(np.float32)) for v in (target, weight / weight.sum()))
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> torch.Tensor:
        return (torch.randn(shape, generator=generator) / np.sqrt(shape[0])).requires_grad_()

    weights = {
        "first": drawn(x.shape[1], HIDDEN),
        "shift": torch.zeros(HIDDEN, requires_grad=True),
        "second": drawn(HIDDEN, WIDTH),
        "straight": drawn(x.shape[1], WIDTH),
    }
    optimiser = torch.optim.AdamW(list(weights.values()), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        seen = x * _shown(x.shape, space, generator)
        hidden = torch.nn.functional.silu(seen @ weights["first"] + weights["shift"])
        found = torch.nn.functional.normalize(seen @ weights["straight"] + hidden @ weights["second"], dim=1)
        loss = (((found @ found.T - wanted) ** 2) * counted).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return Embedder(space, {k: v.detach().numpy() for k, v in weights.items()})


def helps(
    descriptions: Mapping[str, Description], skills: Mapping[str, Mapping[str, float]], groups: Mapping[str, str]
) -> bool:
    """Whether neighbours by an embedder rank configs more alike than neighbours by the plain space do.

    Groups are left out in FOLDS parts; of each data set left out the weighted neighbours among the others count.
    """
    ids = sorted(i for i in descriptions if len(skills.get(i, ())) >= COMMON)
    target, weight = alignment(ids, skills, groups)
    names = sorted({groups[i] for i in ids})
    part = {g: n % FOLDS for n, g in enumerate(np.random.default_rng(0).permutation(names))}
    gains: list[float] = []
    for fold in range(FOLDS):
        held = [n for n, i in enumerate(ids) if part[groups[i]] == fold]
        kept = [n for n, i in enumerate(ids) if part[groups[i]] != fold]
        known = {ids[n]: descriptions[ids[n]] for n in kept}
        embedder = train(known, skills, groups)
        if embedder is None:
            continue
        plain = embedder.space.points
        for n in held:
            near = [
                _agreement(
                    points([descriptions[ids[n]]]), points(list(known.values())), target[n, kept], weight[n, kept]
                )
                for points in (plain, embedder.embed)
            ]
            if None not in near:
                gains.append(near[1] - near[0])  # type: ignore[operator]
    return len(gains) >= FEWEST and float(np.mean(gains)) > 0


def _agreement(one: np.ndarray, others: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float | None:
    """Rank correlation with the nearest NEAR of the data sets that can be compared, weighed as a recall weighs them."""
    known = np.flatnonzero(weight > 0)
    if not len(known):
        return None
    distance = np.sqrt(((others[known] - one) ** 2).sum(axis=1))
    nearest = np.argsort(distance)[:NEAR]
    kernel = np.exp(-((distance[nearest] / max(float(np.median(distance[nearest])), 1e-9)) ** 2))
    return float(kernel @ target[known[nearest]] / kernel.sum())


def alignment(
    ids: Sequence[str], skills: Mapping[str, Mapping[str, float]], groups: Mapping[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Spearman correlation (n, n) of what common configs achieved on each pair, and how much each pair counts."""
    from scipy.stats import rankdata

    configs = sorted({c for i in ids for c in skills[i]})
    table = np.array([[skills[i].get(c, np.nan) for c in configs] for i in ids]).reshape(len(ids), len(configs))
    target, weight = np.zeros((len(ids), len(ids))), np.zeros((len(ids), len(ids)))
    for i in range(len(ids)):
        for j in range(i + 1, len(ids)):
            both = np.isfinite(table[i]) & np.isfinite(table[j])
            count = int(both.sum())
            if count < COMMON:
                continue
            one, other = rankdata(table[i, both]), rankdata(table[j, both])
            spread = one.std() * other.std()
            if spread == 0:
                continue
            target[i, j] = target[j, i] = float(((one - one.mean()) * (other - other.mean())).mean() / spread)
            share = np.sqrt(count) * (SIBLINGS if groups[ids[i]] == groups[ids[j]] else 1.0)
            weight[i, j] = weight[j, i] = share
    return target, weight


def _shown(shape: Sequence[int], space: Space, generator: torch.Generator) -> torch.Tensor:
    """1 where a part of a point (n, 2p + words) is shown, 0 where it is hidden; a number is hidden with its valid bit."""
    import torch

    n, p = shape[0], len(space.names)
    numbers = (torch.rand(n, p, generator=generator) >= HIDE).float()
    words = (torch.rand(n, 1, generator=generator) >= HIDE).float().expand(n, shape[1] - 2 * p)
    return torch.cat([numbers, numbers, words], dim=1)
