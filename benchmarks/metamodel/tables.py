"""From lines of live searches to the figures: regret by trials and by seconds, speed-up, losses against cold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from .live import COLD, M0, M1, M2, NEAR, RANDOM, TPE, WARM

AT = (1, 2, 3, 5, 10, 20, 50)
BY_SECONDS = (1, 2, 5, 10, 20)
BUDGETS = (10, 20, 50)
ORDER = (RANDOM, TPE, COLD, M0, NEAR, M1, M2, WARM)
CEILING, FLAT = 2.0, 0.005
# A warm start that much worse than a cold one is a loss.
LOSS, LOSS_AT = 0.02, 20
DRAWS = 10_000

Line = Mapping[str, Any]
Curves = dict[tuple[str, str], dict[int, np.ndarray]]  # (set, arm) -> seed -> best regret after each trial


def curves(lines: Sequence[Line]) -> Curves:
    """Best normalised regret so far: 0 the best config any arm found on a data set with a seed, 1 the median one."""
    found: Curves = {}
    for name, seed in sorted({(line["set"], line["seed"]) for line in lines}):
        own = [line for line in lines if (line["set"], line["seed"]) == (name, seed)]
        known = {c: s for line in own for c, s in zip(line["configs"], line["skills"]) if s is not None}
        best, median = max(known.values()), float(np.median(list(known.values())))
        span = max(best - median, FLAT)
        for line in own:
            regret = [CEILING if s is None else min(CEILING, (best - s) / span) for s in line["skills"]]
            found.setdefault((name, line["arm"]), {})[seed] = np.minimum.accumulate(regret)
    return found


def after(found: Curves, arm: str, trials: int) -> dict[str, float]:
    """Mean regret over seeds after so many trials, by data set."""
    return {
        name: float(np.mean([c[min(trials, len(c)) - 1] for c in seeds.values()]))
        for (name, a), seeds in found.items()
        if a == arm
    }


def within(found: Curves, lines: Sequence[Line], arm: str, seconds: float) -> dict[str, float]:
    """Mean regret over seeds after so many seconds of fitting, description included, by data set; before the first fit 1."""
    reached: dict[str, list[float]] = {}
    for line in lines:
        if line["arm"] == arm:
            spent = line["described"] + np.cumsum(line["seconds"])
            done = int(np.searchsorted(spent, seconds, side="right"))
            curve = found[line["set"], arm][line["seed"]]
            reached.setdefault(line["set"], []).append(float(min(1.0, curve[done - 1])) if done else 1.0)
    return {name: float(np.mean(values)) for name, values in reached.items()}


def trials_to_match(found: Curves, arm: str, budget: int) -> dict[str, float]:
    """How many trials an arm needs for what cold TPE reaches in `budget`, by data set: median over seeds, inf for never."""
    needed = {}
    for (name, a), seeds in found.items():
        if a == arm:
            each = []
            for seed, curve in seeds.items():
                goal = found[name, TPE][seed]
                reached = np.flatnonzero(curve <= goal[min(budget, len(goal)) - 1] + 1e-9)
                each.append(float(reached[0]) + 1 if len(reached) else np.inf)
            needed[name] = float(np.median(each))
    return needed


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean with its 95 % bootstrap interval."""
    rng, found = np.random.default_rng(0), np.asarray(values, float)
    means = found[rng.integers(len(found), size=(DRAWS, len(found)))].mean(axis=1)
    return float(found.mean()), *map(float, np.quantile(means, [0.025, 0.975]))


def by_luck(found: Curves, told: str, untold: str) -> float:
    """Share of data sets on which an arm would lose to an equal one: whichever of a seed's two curves is the warm one is tossed."""
    shares = []
    for name in sorted({name for name, arm in found if arm == told}):
        warm, cold = found[name, told], found[name, untold]
        apart = np.array([warm[s][LOSS_AT - 1] - cold[s][LOSS_AT - 1] for s in sorted(warm.keys() & cold.keys())])
        tosses = np.array(list(product((-1, 1), repeat=len(apart))))
        shares.append(np.mean((tosses * apart).mean(axis=1) > LOSS))
    return float(np.mean(shares))


def report(lines: Sequence[Line]) -> str:
    """All tables as Markdown."""
    found = curves(lines)
    arms = [a for a in ORDER if any(a == arm for _, arm in found)]
    sets, seeds = {name for name, _ in found}, {line["seed"] for line in lines}
    text = [
        f"{len(sets)} groups that nothing was trained on, {len(seeds)} seeds, at most 1 s a trial on one core. Regret: 0 is the best",
        "config that any arm found on a data set with a seed, 1 the median one. Means over groups.", "",
        "| after trials | " + " | ".join(map(str, AT)) + " |", "|---|" + "---|" * len(AT),
    ]  # fmt: skip
    text += [
        f"| {a} | " + " | ".join(f"{np.mean(list(after(found, a, k).values())):.3f}" for k in AT) + " |" for a in arms
    ]
    text += ["", "| after seconds, description included | " + " | ".join(map(str, BY_SECONDS)) + " |",
             "|---|" + "---|" * len(BY_SECONDS)]  # fmt: skip
    for a in arms:
        values = (np.mean(list(within(found, lines, a, s).values())) for s in BY_SECONDS)
        text.append(f"| {a} | " + " | ".join(f"{v:.3f}" for v in values) + " |")
    text += ["", "| trials to reach what cold TPE reaches in, median over groups | " + " | ".join(map(str, BUDGETS)) + " |",
             "|---|" + "---|" * len(BUDGETS)]  # fmt: skip
    for a in arms:
        medians = (float(np.median(list(trials_to_match(found, a, b).values()))) for b in BUDGETS)
        text.append(f"| {a} | " + " | ".join(f"{m:g}" for m in medians) + " |")
    text += ["", "Differences in regret after 10 trials, 95 % bootstrap over groups:", ""]
    best = M2 if M2 in arms else M1
    for one, other in dict.fromkeys(
        [(M1, M0), (M1, NEAR), (best, M0), (best, TPE), (WARM, TPE), (WARM, COLD), (WARM, best)]
    ):
        if {one, other} <= set(arms):
            a, b = after(found, one, 10), after(found, other, 10)
            mean, low, high = interval([a[s] - b[s] for s in sorted(a)])
            text.append(f"- {one} less {other}: {mean:+.3f} [{low:+.3f}, {high:+.3f}]")
    text.append("")
    for told, untold in ((best, TPE), (WARM, COLD)):
        warm, cold = after(found, told, LOSS_AT), after(found, untold, LOSS_AT)
        lost = sorted(s for s in warm if warm[s] > cold[s] + LOSS)
        share, named = len(lost) / max(1, len(warm)), f": {', '.join(lost)}" if lost else ""
        text.append(
            f"- {told} more than {LOSS} worse than {untold} after {LOSS_AT} trials: {len(lost)} of {len(warm)} ({share:.0%}){named}. "
            f"Of two equal arms, as far apart from seed to seed as these are, it would be {by_luck(found, told, untold):.0%}."
        )
    return "\n".join(text) + "\n"
