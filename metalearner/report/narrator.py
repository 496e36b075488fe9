"""What a run says in a terminal while it goes on, stage by stage."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import IO, Any

from ..records import FULL, Scorecard
from .text import (
    CUT_SHORT,
    brief,
    expectations,
    fewer_models,
    limit_lines,
    number,
    prior_lines,
    scorecard_lines,
    sparkline,
)

# Seconds without a better model after which the search says that it goes on.
SILENCE = 15.0
# Families named in a line about what failed.
NAMED = 6


class Narrator:
    """Prints a run's events as they come, stage by stage."""

    def __init__(self, out: IO[str], quiet: bool = False) -> None:
        self.out, self.quiet = out, quiet
        self.scores: list[float] = []
        self.best: float | None = None
        self.tried, self.spoke = 0, 0.0
        self.failures = Failures()  # that are not told yet
        self.metric = ""

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Print what an event says, if it says anything."""
        lines: list[str] = getattr(self, f"_{event['stage']}", lambda e: [])(event)
        if not self.quiet:
            for line in lines:
                print(line, file=self.out, flush=True)

    def _formulate(self, e: Mapping[str, Any]) -> list[str]:
        task = e["task"]
        self.metric = task["metric"]
        goal = f" · goal {task['goal']:g}" if task["goal"] is not None else ""
        return [_line("1 formulate", f"{task['target']} · {task['output']} · {self.metric}{goal}"),
                *[_line("", r) for r in task["reasons"]]]  # fmt: skip

    def _prepare(self, e: Mapping[str, Any]) -> list[str]:
        kinds = ", ".join(f"{n} {k}" for k, n in e["kinds"].items())
        folds = f"{e['folds']} folds" if e["folds"] > 1 else "one part held out"
        apart = f", {e['apart']} rows apart for intervals" if e["apart"] else ""
        lines = [_line("2 prepare", f"{e['card']['rows']:,} rows · columns: {kinds}"),
                 _line("", f"{e['rows']:,} to learn from in {folds}{apart} · {e['sealed']:,} sealed")]  # fmt: skip
        return lines + [
            _line(
                "",
                f"! {f['what']}"
                + (f": {f['done']}" if f["done"] else "")
                + (f"; {f['undo']} to undo" if f["undo"] else ""),
            )
            for f in e["findings"][:8]
        ]

    def _propose(self, e: Mapping[str, Any]) -> list[str]:
        lines = [*prior_lines(e), "loss: {}, {}".format(*e["loss"])]
        return [_line("3 propose" if i == 0 else "", line) for i, line in enumerate(lines)]

    def _search(self, e: Mapping[str, Any]) -> list[str]:
        """A line for each better model and each row of failures, and now and then that it goes on."""
        trial, clock = e["trial"], _clock(e["at"])
        name, left = trial["proposal"]["family"], e.get("left")
        remaining = f", {max(0, left):.0f} s left" if left is not None and left < 1e9 else ""
        self.tried += 1
        if trial["outcome"] != "ok":
            before = [] if self.failures.like(trial) else self._failed(e)
            self.failures.trials.append(trial)
            return before + (self._failed(e) if e["at"] - self.spoke >= SILENCE else [])
        skill = trial["skill"]
        whole = trial["rung"] >= FULL  # the score of a part is compared with other parts alone
        if whole:
            self.scores.append(skill)
        if not whole or (self.best is not None and skill <= self.best):
            if e["at"] - self.spoke < SILENCE:
                return []
            before, self.spoke = self._failed(e), e["at"]
            return [*before, _line("4 search", f"{clock} {self.tried} tried{remaining}")]
        before, self.best, self.spoke = self._failed(e), skill, e["at"]
        about = f"{number(trial['score'])} in {trial['seconds']:.1f} s ({trial['proposal']['arm']})"
        return [*before, _line("4 search", f"{clock} {name} {about}, best so far{remaining}")]

    def _failed(self, e: Mapping[str, Any]) -> list[str]:
        """What failed and was not told yet."""
        if not self.failures.trials:
            return []
        line, self.failures, self.spoke = self.failures.line(), Failures(), e["at"]
        return [_line("4 search", f"{_clock(e['at'])} {line}")]

    def _handover(self, e: Mapping[str, Any]) -> list[str]:
        return [_line("", f"! the searcher '{e['searcher']}' failed ({brief(e['error'])}): '{e['instead']}' goes on")]

    def _searched(self, e: Mapping[str, Any]) -> list[str]:
        """How many configurations, how fast, and where a run with a goal stopped."""
        rate = f"{60 * e['tried'] / max(1.0, e['seconds']):.0f} a minute"
        lines = [f"{e['tried']} configurations, {rate}, {len(self.scores)} fitted in full  {sparkline(self.scores)}"]
        lines += [e["ladder"]] if e["ladder"] else []
        return [*self._failed(e), *[_line("", line) for line in lines]]

    def _train(self, e: Mapping[str, Any]) -> list[str]:
        parts = ", ".join(f"{name} {w:.0%}" for name, w in e["weights"].items())
        lines = [_line("  train", f"ensemble: {parts} · out of fold {number(e['score'])}")]
        lines += [_line("", f"chosen by {by}")] if (by := expectations(e)) else []
        lines += [_line("", f"! {CUT_SHORT}")] if e.get("cut_short") else []
        return lines + ([_line("", f"! {told}")] if (told := fewer_models(e)) else [])

    def _callback(self, e: Mapping[str, Any]) -> list[str]:
        return [_line("", f"! callback {e['name']}: {e['problem']}")]

    def _evaluate(self, e: Mapping[str, Any]) -> list[str]:
        lines = scorecard_lines(Scorecard.from_json(e["scorecard"]))
        return [_line("  evaluate" if i == 0 else "", line) for i, line in enumerate(lines)]

    def _deploy(self, e: Mapping[str, Any]) -> list[str]:
        portable = f" · {e['portable']}" if e["portable"] else ""
        return [_line("5 deploy", f"{e['bundle']} · {e['bytes'] / 1e6:.1f} MB{portable}"),
                *[_line("", line) for line in limit_lines(e.get("limits", {}))],
                _line("6 monitor", "reference stored")]  # fmt: skip

    def _learned(self, e: Mapping[str, Any]) -> list[str]:
        refused = f", {len(e['refused'])} refused ({e['refused'][0]})" if e["refused"] else ""
        return [
            _line(
                "learned", f"{e['records']} records added to your knowledge base{refused} · {e['seconds']:.1f} s in all"
            )
        ]


@dataclass
class Failures:
    """Trials that failed one after the other for one reason: a line together, whole in the run's events."""

    trials: list[Mapping[str, Any]] = field(default_factory=list)

    def like(self, trial: Mapping[str, Any]) -> bool:
        """Whether a trial failed as those before it did."""
        return not self.trials or _kind(trial) == _kind(self.trials[-1])

    def line(self) -> str:
        """How many, what became of them, why and of which families."""
        reasons = [brief(t["error"]) for t in self.trials]
        why, outcome = reasons[-1], self.trials[-1]["outcome"]
        names = Counter(t["proposal"]["family"] for t in self.trials)
        if len(set(reasons)) > 1:  # what they share, before the numbers in which they differ
            shared = sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, zip(*reasons)))
            why = re.split(r"[:;,(][^:;,(]*$", why[:shared])[0] or why
        because = f" ({why})" if why else ""
        if len(self.trials) == 1:
            return f"{next(iter(names))}: {outcome}{because}"
        told = [name if n == 1 else f"{name} ({n})" for name, n in names.most_common(NAMED)]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return f"{len(self.trials)} {outcome}{because}: {', '.join(told)}{more}"


def _kind(trial: Mapping[str, Any]) -> tuple[str, str]:
    """What became of a trial and why, whatever the numbers were."""
    return trial["outcome"], re.sub(r"\d[\d.,]*", "#", brief(trial["error"]))


def _line(label: str, text: str) -> str:
    return f"{label:<12} {text}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
