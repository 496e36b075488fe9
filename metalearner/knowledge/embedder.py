"""The Embedder: descriptions as points that lie close where the same configs did well. It is what FAISS indexes.

A small network over the standardised numbers of a description, which of them could be measured, and the task sentence. It begins
as the principal components of these, so that with nothing to learn it is their plain space, and learns to foretell the regrets of
configs on a data set by the regrets on its neighbours, weighed as a recall weighs them (metric learning for kernel regression,
Weinberger & Tesauro 2007). PyTorch trains it, NumPy runs it: to recall needs no torch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..records import Description
from ..space import Space

WIDTH, HIDDEN = 32, 32
# Configs that a data set must share with others to teach anything, and data sets that a config must be known of.
COMMON, LEAST = 5, 3
# Regret is cut off here; where all configs are alike its scale is not blown up.
CEILING, FLAT = 2.0, 0.005
# Steps that are tried, with how much it costs to leave the plain space meanwhile; and their rate.
STEPS, RATE = {0: 0.0, 200: 3e-3, 300: 3e-4}, 1e-2
# The share of the numbers that is hidden in a step: nothing alone may be relied on.
HIDE = 0.3
# More data sets than this teach no more.
MOST = 1000
# Neighbours whose median distance is the unit of nearness; parts that groups are left out in to choose the number of steps.
NEAR, PARTS = 15, 5


@dataclass(frozen=True)
class Embedder:
    """Weights by name, and the space that numbers are standardised in."""

    space: Space
    weights: Mapping[str, np.ndarray]
    steps: int  # that it was trained; 0: plain principal components

    def embed(self, descriptions: Sequence[Description]) -> np.ndarray:
        """(n, WIDTH) float32."""
        w, x = self.weights, self.space.points(descriptions)
        hidden = np.tanh(x @ w["first"])
        return np.ascontiguousarray(x @ w["straight"] + hidden @ w["second"], dtype=np.float32)

    def save(self, file: Path) -> None:
        """One NPZ: the weights, and the space as JSON."""
        part = file.with_name(file.name + ".part.npz")
        space = np.frombuffer(json.dumps(self.space.to_json()).encode(), np.uint8)
        arrays: dict[str, Any] = {k: v.astype(np.float32) for k, v in self.weights.items()}
        np.savez_compressed(part, space=space, steps=self.steps, **arrays)
        part.replace(file)

    @classmethod
    def load(cls, file: Path) -> Self:
        """What `save` wrote. Raises OSError or ValueError where it is none."""
        with np.load(file, allow_pickle=False) as held:
            space = Space.from_json(json.loads(held["space"].tobytes()))
            return cls(space, {k: held[k] for k in ("straight", "first", "second")}, int(held["steps"]))


def train(
    descriptions: Mapping[str, Description],
    skills: Mapping[str, Mapping[str, float]],
    groups: Mapping[str, str],
    steps: int | None = None,
) -> Embedder | None:
    """An embedder for data sets by id, from the skill of each config (by id) on them; None where they have too little in common.

    As many of STEPS are made as foretell best what was left out, group by group; none where learning does not help.
    """
    regrets = table(skills, [i for i in sorted(descriptions) if i in skills])
    ids = sorted(regrets)
    ids = [ids[n] for n in sorted(np.random.default_rng(0).permutation(len(ids))[:MOST])]
    if len(ids) < 2:
        return None
    if steps is None:
        steps = _steps({i: descriptions[i] for i in ids}, skills, groups)
    space = Space.fit([descriptions[i] for i in ids])
    points = space.points([descriptions[i] for i in ids])
    weights = _fit(points, space, np.array([regrets[i] for i in ids]), np.array([groups[i] for i in ids]), steps)
    return Embedder(space, weights, steps)


def table(skills: Mapping[str, Mapping[str, float]], ids: Sequence[str]) -> dict[str, np.ndarray]:
    """Regrets (configs,) of those data sets that know enough of the configs that several know; NaN where one is not known."""
    known = Counter(c for i in ids for c in skills[i])
    configs = sorted(c for c, n in known.items() if n >= LEAST)
    found = {}
    for i in ids:
        row = np.array([skills[i].get(c, np.nan) for c in configs])
        if np.isfinite(row).sum() >= COMMON:
            best, median = np.nanmax(row), np.nanmedian(row)
            found[i] = np.minimum(CEILING, (best - row) / max(best - median, FLAT))
    return found


def foretold(one: np.ndarray, points: np.ndarray, regrets: np.ndarray) -> np.ndarray:
    """Regrets (configs,) by those (n, configs) of data sets at points (n, w), weighed by their distance; NaN where nobody knows."""
    distance = np.sqrt(((points - one) ** 2).sum(axis=1))
    unit = max(float(np.median(np.sort(distance)[:NEAR])), 1e-9)
    weight = np.exp(-((distance / unit) ** 2))[:, None] * np.isfinite(regrets)
    total = weight.sum(axis=0)
    return np.where(total > 0, (weight * np.nan_to_num(regrets)).sum(axis=0) / np.maximum(total, 1e-12), np.nan)


def _steps(
    descriptions: Mapping[str, Description], skills: Mapping[str, Mapping[str, float]], groups: Mapping[str, str]
) -> int:
    """The number of steps with the least squared error on groups that were left out."""
    regrets = table(skills, sorted(descriptions))
    names = sorted({groups[i] for i in regrets})
    part = {g: n % PARTS for n, g in enumerate(np.random.default_rng(0).permutation(names))}
    errors: dict[int, list[float]] = {steps: [] for steps in STEPS}
    for left_out in range(min(PARTS, len(names)) if len(names) > 2 else 0):
        held = [i for i in regrets if part[groups[i]] == left_out]
        kept = [i for i in regrets if part[groups[i]] != left_out]
        truth = np.array([regrets[i] for i in kept])
        for steps, found in errors.items():
            embedder = train({i: descriptions[i] for i in kept}, skills, groups, steps)
            if embedder is None:
                continue
            points = embedder.embed([descriptions[i] for i in kept])
            for i in held:
                told = foretold(embedder.embed([descriptions[i]])[0], points, truth)
                off = (told - regrets[i]) ** 2
                if np.isfinite(off).any():
                    found.append(float(np.nanmean(off)))
    return min(STEPS, key=lambda steps: (np.mean(errors[steps]) if errors[steps] else 0.0, steps))


def _fit(
    points: np.ndarray, space: Space, regrets: np.ndarray, groups: np.ndarray, steps: int
) -> dict[str, np.ndarray]:
    """Weights after so many of STEPS from the principal components of the points (n, d)."""
    components = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][:WIDTH].T
    rng = np.random.default_rng(0)
    first = rng.normal(size=(points.shape[1], HIDDEN)) / np.sqrt(points.shape[1])
    begun = {"straight": components, "first": first, "second": np.zeros((HIDDEN, components.shape[1]))}
    if not steps:
        return {k: v.astype(np.float32) for k, v in begun.items()}
    import torch

    x, known = torch.from_numpy(points), torch.from_numpy(np.isfinite(regrets).astype(np.float32))
    truth = torch.from_numpy(np.nan_to_num(regrets).astype(np.float32))
    others = torch.from_numpy((groups[:, None] != groups[None, :]).astype(np.float32))
    held = {k: torch.tensor(v, dtype=torch.float32) for k, v in begun.items()}
    weights = {k: v.clone().requires_grad_() for k, v in held.items()}
    optimiser = torch.optim.Adam(list(weights.values()), RATE)
    generator, names = torch.Generator().manual_seed(0), len(space.names)
    for _ in range(steps):
        shown = (torch.rand(1, names, generator=generator) >= HIDE).float()  # a number is hidden with its valid bit
        seen = x * torch.cat([shown, shown, torch.ones(1, x.shape[1] - 2 * names)], dim=1)
        found = seen @ weights["straight"] + torch.tanh(seen @ weights["first"]) @ weights["second"]
        length = (found**2).sum(dim=1)
        squared = (length[:, None] + length[None] - 2 * found @ found.T).clamp(min=0.0)
        apart = (squared.detach() + 1e9 * (1 - others)).sort(dim=1).values[:, :NEAR].sqrt()
        near = torch.exp(-squared / apart.median(dim=1).values.clamp(min=1e-6)[:, None] ** 2) * others
        told = (near @ (truth * known)) / (near @ known).clamp(min=1e-9)
        left = sum(((weights[k] - held[k]) ** 2).sum() for k in held)
        loss = ((told - truth) ** 2 * known).sum() / known.sum() + STEPS[steps] * left
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {k: v.detach().numpy() for k, v in weights.items()}
