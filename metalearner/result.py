"""A finished run, as people and programs look at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from .deploy import Bundle
from .kinds import Metric, Prior
from .markup import amounts, card, items, number, table
from .plugins import Registry
from .records import FULL, Scorecard, Task, Trial, best_of_each, plain

# Trials that are shown in a notebook.
SHOWN = 8


@dataclass(frozen=True)
class Run:
    """A task's whole story."""

    folder: Path
    task: Task
    trials: tuple[Trial, ...]
    scorecard: Scorecard
    prior: Prior
    seconds: float
    registry: Registry
    interrupted: bool = False
    ladder: str = ""  # with a goal: at which level of automation the search stopped, and why
    limits: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict
    )  # of each limit: what was measured, whether it is kept
    cpu_seconds: float | None = None  # of the process that finished it and its workers, imports included

    @cached_property
    def bundle(self) -> Bundle:
        """The packaged model."""
        return Bundle.open(self.folder / "bundle", self.registry)

    @property
    def ranked(self) -> list[Trial]:
        """All trials, the best out-of-fold score first, failures last."""
        return rank(self.trials, self.registry.metrics[self.task.metric])

    @cached_property
    def weights(self) -> dict[str, float]:
        """What each member of the packaged ensemble counts, by the name of its trial."""
        return {m.trial: m.weight for m in self.bundle.predictor.members}

    @property
    def winner(self) -> Trial:
        """The trial with most say in the packaged ensemble; of equals the better one out of fold.

        The first of the leaderboard need not be in there: among many trials on few rows luck comes first.
        """
        return max(self.ranked, key=lambda t: self.weights.get(t.name, 0.0))

    def leaderboard(self) -> pd.DataFrame:
        """All trials, best first: family, score, skill, seconds, who proposed it, its weight in the ensemble."""
        return pd.DataFrame(self._board())

    def _board(self) -> list[dict[str, Any]]:
        weights = self.weights
        return [
            {
                "trial": t.number,
                "family": t.proposal.family,
                "score": t.score,
                "skill": t.skill,
                "seconds": round(t.cost, 2),
                "arm": t.proposal.arm,
                "weight": weights.get(t.name, 0.0),
                "rung": round(t.rung, 3),
                "outcome": t.outcome,
                "config": t.config.to_json(),
            }
            for t in self.ranked
        ]

    def _repr_html_(self) -> str:
        """In a notebook: how good it is beside what one gets without looking, and the best trials."""
        s, board = self.scorecard, self.leaderboard()
        shown = board[board["outcome"] == "ok"].head(SHOWN).to_dict("records")
        figures = [
            (number(s.value), s.metric, f"{number(s.low)} to {number(s.high)} with 95 % confidence"),
            (number(s.baseline), "without looking", "the naive baseline"),
            (f"{s.rows:,}", "rows measured on", s.split),
            (f"{self.seconds:.0f} s", "taken", f"{len(self.trials)} trials"),
        ]
        if s.goal is not None:
            figures.append((number(s.goal), "goal", "met" if s.goal_met else "missed"))
        rows = [
            (t["family"], number(t["score"]), f"{t['weight']:.0%}" if t["weight"] else "", f"{t['seconds']:.1f} s")
            for t in shown
        ]
        best = table(("family", "score", "share", "took"), rows, numbers=(1, 2, 3))
        return card(
            f"{self.task.target} · {self.task.output}",
            amounts(figures),
            best,
            items([str(cause) for cause in s.diagnosis]),
        )

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        card, winner = self.scorecard, self.winner
        score = {k: getattr(card, k) for k in ("metric", "value", "low", "high", "baseline", "rows", "split", "others")}
        return plain(
            {
                "task": self.task,
                "winner": {"family": winner.proposal.family, "config": winner.config, "reason": winner.proposal.reason},
                "score": score,
                "goal": {"value": card.goal, "met": card.goal_met, "diagnosis": card.diagnosis},
                "leaderboard": self._board(),
                "neighbours": self.prior.neighbours,
                "odds": self.prior.odds,
                "reasons": self.prior.reasons,
                "forecast": self.prior.forecast,
                "seconds": self.seconds,
                "cpu_seconds": self.cpu_seconds,
                "interrupted": self.interrupted,
                "ladder": self.ladder,
                "limits": self.limits,
                "bundle": str(self.folder / "bundle"),
            }
        )


def rank(trials: Sequence[Trial], metric: Metric) -> list[Trial]:
    """Full fits before partial ones, best score first, failures last; of each config its furthest fit."""
    sign = -1 if metric.greater_is_better else 1
    return sorted(
        best_of_each(trials), key=lambda t: (t.score is None, t.rung < FULL, sign * (t.score or 0.0), t.number)
    )
