"""The Embedder: descriptions as points that lie close where the same configs did well. It is what FAISS indexes.

A small network over the standardised numbers of a description, which of them could be measured, and the task sentence. It begins
as the principal components of these and learns to foretell the regrets of configs on a data set by the regrets on its neighbours in
other groups, weighed as a recall weighs them (metric learning for kernel regression, Weinberger & Tesauro 2007). PyTorch trains it,
NumPy runs it: to recall needs no torch.
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
# Fewer data sets teach nothing that their plain space does not say.
FEWEST = 30
# Steps, their rate, and how much it costs to leave the principal components. To choose the steps on groups that were left out cost
# more than it gave: the choice was chance (regret after ten trials .081, without it .071; 142 groups).
STEPS, RATE, KEEP = 200, 1e-2, 3e-3
# The share of the numbers that is hidden in a step: nothing alone may be relied on.
HIDE = 0.3
# More data sets than this teach no more.
MOST = 1000
# Neighbours whose median distance is the unit of nearness.
NEAR = 15


@dataclass(frozen=True)
class Embedder:
    """Weights by name, and the space that numbers are standardised in."""

    space: Space
    weights: Mapping[str, np.ndarray]

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
        np.savez_compressed(part, space=space, **arrays)
        part.replace(file)

    @classmethod
    def load(cls, file: Path) -> Self:
        """What `save` wrote. Raises OSError or ValueError where it is none."""
        with np.load(file, allow_pickle=False) as held:
            space = Space.from_json(json.loads(held["space"].tobytes()))
            return cls(space, {k: held[k] for k in ("straight", "first", "second")})


def train(
    descriptions: Mapping[str, Description], skills: Mapping[str, Mapping[str, float]], groups: Mapping[str, str]
) -> Embedder | None:
    """An embedder for data sets by id, from the skill of each config (by id) on them; None where they have too little in common."""
    regrets = table(skills, [i for i in sorted(descriptions) if i in skills])
    ids = sorted(regrets)
    ids = [ids[n] for n in sorted(np.random.default_rng(0).permutation(len(ids))[:MOST])]
    if len(ids) < FEWEST:
        return None
    space = Space.fit([descriptions[i] for i in ids])
    points = space.points([descriptions[i] for i in ids])
    weights = _fit(points, space, np.array([regrets[i] for i in ids]), np.array([groups[i] for i in ids]))
    return Embedder(space, weights)


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


def _fit(points: np.ndarray, space: Space, regrets: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """Weights after STEPS from the principal components of the points (n, d)."""
    import torch

    components = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][:WIDTH].T
    rng = np.random.default_rng(0)
    first = rng.normal(size=(points.shape[1], HIDDEN)) / np.sqrt(points.shape[1])
    begun = {"straight": components, "first": first, "second": np.zeros((HIDDEN, components.shape[1]))}
    x, known = torch.from_numpy(points), torch.from_numpy(np.isfinite(regrets).astype(np.float32))
    truth = torch.from_numpy(np.nan_to_num(regrets).astype(np.float32))
    others = torch.from_numpy((groups[:, None] != groups[None, :]).astype(np.float32))
    held = {k: torch.tensor(v, dtype=torch.float32) for k, v in begun.items()}
    weights = {k: v.clone().requires_grad_() for k, v in held.items()}
    optimiser = torch.optim.Adam(list(weights.values()), RATE)
    generator, names = torch.Generator().manual_seed(0), len(space.names)
    for _ in range(STEPS):
        shown = (torch.rand(1, names, generator=generator) >= HIDE).float()  # a number is hidden with its valid bit
        seen = x * torch.cat([shown, shown, torch.ones(1, x.shape[1] - 2 * names)], dim=1)
        found = seen @ weights["straight"] + torch.tanh(seen @ weights["first"]) @ weights["second"]
        length = (found**2).sum(dim=1)
        squared = (length[:, None] + length[None] - 2 * found @ found.T).clamp(min=0.0)
        apart = (squared.detach() + 1e9 * (1 - others)).sort(dim=1).values[:, :NEAR].sqrt()
        near = torch.exp(-squared / apart.median(dim=1).values.clamp(min=1e-6)[:, None] ** 2) * others
        told = (near @ (truth * known)) / (near @ known).clamp(min=1e-9)
        left = sum(((weights[k] - held[k]) ** 2).sum() for k in held)
        loss = ((told - truth) ** 2 * known).sum() / known.sum() + KEEP * left
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {k: v.detach().numpy() for k, v in weights.items()}
