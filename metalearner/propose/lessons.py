"""How a ranker learns: from what happened on past data sets, told as if each were a stranger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..records import Description
from ..space import Space
from .ranker import FACTS, MERITS, QUANTILES, Ranker, State, batch, forward, padded
from .words import Vocabulary

# Words must occur on so many data sets.
LEAST = 5
# Widths: of a config, of a data set, of what is attended to, of the layers.
MADE, POINT, KEY, HIDDEN = 16, 8, 8, 48
# A description has hundreds of numbers and the base about as many data sets: all that do not help are driven to nothing (the
# group lasso of Yuan & Lin 2006), from weights that are large enough to be told apart.
SPARSE, SPREAD = 0.03, 4.0
STEPS, STATES, RATE, DECAY = 800, 24, 6e-3, 1e-2
# The share of the words, and of the numbers of a description, that is hidden in a step: nothing alone may be relied on.
HIDE = 0.2
# Gains differ on this scale. What counts beside their order: they themselves, regrets, seconds.
APART, OFF, PINBALL, TIMED = 0.1, 1.0, 0.3, 0.1


@dataclass(frozen=True)
class Lesson:
    """States of one data set with what turned out to be true of each candidate; NaN where nobody knows."""

    description: Description
    states: Sequence[State]
    regrets: np.ndarray  # (c,)
    gains: Sequence[np.ndarray]  # (c,) in each state, on the regret reached
    seconds: np.ndarray  # (c,) log of what it took over what was expected
    weight: float = 1.0


def train(lessons: Sequence[Lesson], vocabulary: Vocabulary, seed: int = 0) -> Ranker | None:
    """A ranker from what happened on past data sets; None where there is nothing to learn from.

    Loss: for each pair of candidates of a state the logistic loss of their order by gain; beside it the squared loss of gains
    and pinball losses of the quantiles of regret (Koenker & Bassett 1978).
    """
    import torch

    if not lessons:
        return None
    space = Space.fit([lesson.description for lesson in lessons])
    points = space.points([lesson.description for lesson in lessons])
    states = [(i, state, gain) for i, lesson in enumerate(lessons) for state, gain in zip(lesson.states, lesson.gains)]
    often = np.array([lessons[i].weight / len(lessons[i].states) for i, _, _ in states])
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    initial = _initial(states[0][1].words.shape[1], points.shape[1], rng)
    weights = {k: torch.tensor(v, requires_grad=True) for k, v in initial.items()}
    weights |= {k: torch.tensor(v) for k, v in _scales([s for _, s, _ in states]).items()}
    learnt = [w for w in weights.values() if w.requires_grad]
    optimiser = torch.optim.AdamW(learnt, RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        which, drawn, gains = zip(*(states[j] for j in rng.choice(len(states), STATES, p=often / often.sum())))
        facts, words, point, seen, merits, real = map(torch.from_numpy, batch(drawn, points[list(which)]))
        shown = (torch.rand((len(drawn), 1, words.shape[-1]), generator=generator) >= HIDE).float()
        point = point * (torch.rand(point.shape, generator=generator) >= HIDE)
        inputs = (facts, words * shown, point, seen * shown, merits, real)
        said = forward(weights, inputs, torch.exp, lambda *parts: torch.cat(parts, -1))
        most = facts.shape[1]
        sides = [lessons[i].regrets for i in which], gains, [lessons[i].seconds for i in which]
        truths = (torch.from_numpy(np.stack([padded(v, most, np.nan) for v in side])) for side in sides)
        rows = torch.cat([weights["pointed"], weights["crossed"]], 1)  # (e, ...)
        loss = _loss(said, *truths) + SPARSE * (rows**2).sum(1).add(1e-8).sqrt().sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimiser.step()
        schedule.step()
    return Ranker(vocabulary, space, {k: w.detach().numpy() for k, w in weights.items()})


def _initial(words: int, point: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Small random weights; the last layer begins at nothing, which is M1."""

    def drawn(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)

    width = len(FACTS) + 2 * MADE + POINT + MERITS + 2
    return {
        "made": drawn(words, MADE),
        "pointed": drawn(point, POINT) * SPREAD,
        "crossed": drawn(point, MADE) * SPREAD,
        "key": drawn(words, KEY),
        "first": drawn(width, HIDDEN),
        "first_shift": np.zeros(HIDDEN, np.float32),
        "second": drawn(HIDDEN, HIDDEN),
        "second_shift": np.zeros(HIDDEN, np.float32),
        "last": np.zeros((HIDDEN, len(QUANTILES) + 2), np.float32),
        "last_shift": np.array([-0.4, 0.0, 0.4, 0.0, 0.0], np.float32),
    }


def _scales(states: Sequence[State]) -> dict[str, np.ndarray]:
    """Middle and spread of each fact."""
    facts = np.concatenate([s.facts for s in states])
    return {
        "centre": facts.mean(axis=0).astype(np.float32),
        "scale": np.maximum(facts.std(axis=0), 1e-3).astype(np.float32),
    }


def _loss(said: Any, regrets: Any, gains: Any, seconds: Any) -> Any:
    """Of a batch (b, c, 5) whose truths (b, c) are NaN where nobody knows."""
    import torch

    known, timed = torch.isfinite(regrets), torch.isfinite(seconds)
    truth, gain = (torch.where(known, v, 0.0) for v in (regrets, gains))
    expected = said[..., -2]
    more = gain[:, :, None] - gain[:, None, :]
    weight = torch.where(known[:, :, None] & known[:, None, :], more.clamp(min=0.0), 0.0)
    order = torch.nn.functional.softplus((expected[:, None, :] - expected[:, :, None]) / APART)
    ranked = (weight * order).sum() / weight.sum().clamp(min=1e-6)
    off = torch.where(known, (expected - gain) ** 2, 0.0)
    missed = truth[..., None] - said[..., :-2]
    levels = torch.tensor(QUANTILES)
    pinball = torch.where(known[..., None], torch.maximum(levels * missed, (levels - 1) * missed), 0.0)
    late = torch.where(timed, (said[..., -1] - torch.where(timed, seconds, 0.0)) ** 2, 0.0)
    count = known.sum().clamp(min=1)
    return (
        ranked
        + OFF * off.sum() / count
        + PINBALL * pinball.sum() / count
        + TIMED * late.sum() / timed.sum().clamp(min=1)
    )
