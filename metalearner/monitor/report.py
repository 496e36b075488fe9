"""What monitoring found, as a record and as lines for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..records import Record


@dataclass(frozen=True)
class Shift(Record):
    """One comparison of then and now."""

    name: str  # of the feature, "prediction" or "confidence"
    of: str  # "feature" or "prediction"
    what: str  # "values", "levels" or "missing"
    effect: float  # Kolmogorov-Smirnov distance, total variation, or difference of shares: 0 none, 1 complete
    p: float  # chance of such a difference, or a larger one, without any shift
    shifted: bool
    before: str
    now: str

    @property
    def measure(self) -> str:
        """The name of the effect size."""
        return {"values": "KS distance", "levels": "total variation", "missing": "difference"}[self.what]

    def line(self) -> str:
        """One line for people."""
        chance = f"p {self.p:.1g}" if self.p > 1e-99 else "p < 1e-99"
        return f"{self.name}: {self.now}, was {self.before} ({self.measure} {self.effect:.2f}, {chance})"


@dataclass(frozen=True)
class Performance(Record):
    """The task's metric on labelled new rows, beside what it was when the model was packaged."""

    metric: str
    value: float
    low: float  # 95 % bootstrap interval over rows
    high: float
    rows: int
    before: float
    before_low: float
    before_high: float
    worse: bool  # by more than chance explains, one-sided at 5 %

    def line(self) -> str:
        """One line for people."""
        verdict = "WORSE than" if self.worse else "in line with"
        return (
            f"{self.metric} {self.value:.3f} [{self.low:.3f}, {self.high:.3f}] on {self.rows:,} labelled rows: "
            f"{verdict} {self.before:.3f} [{self.before_low:.3f}, {self.before_high:.3f}] when packaged"
        )


@dataclass(frozen=True)
class Coverage(Record):
    """How many labelled rows have their true answer in the conformal set or interval that was given."""

    share: float
    low: float  # 95 % interval
    high: float
    rows: int
    promised: float
    less: bool  # than promised, by more than chance explains, one-sided at 5 %

    def line(self) -> str:
        """One line for people."""
        verdict = "LESS than" if self.less else "in line with"
        return (
            f"coverage {self.share:.1%} [{self.low:.1%}, {self.high:.1%}] of {self.rows:,} labelled rows: "
            f"{verdict} the {self.promised:.0%} promised"
        )


@dataclass(frozen=True)
class ShiftReport(Record):
    """How new rows differ from those the model learnt from."""

    rows: int
    reference_rows: int
    verdict: str  # "shift", "no shift found" or "too few rows"
    alpha: float  # chance of any false alarm over all comparisons together
    shifts: tuple[Shift, ...] = ()  # every comparison made: shifted ones first, then by p
    performance: Performance | None = None
    coverage: Coverage | None = None
    least: int = 20

    @property
    def shifted(self) -> tuple[str, ...]:
        """Names of what shifted, the surest first."""
        return tuple(dict.fromkeys(s.name for s in self.shifts if s.shifted))

    def to_json(self) -> dict[str, Any]:
        """Plain dict, `shifted` included."""
        return super().to_json() | {"shifted": list(self.shifted)}

    def lines(self) -> list[str]:
        """Text for people."""
        against = f"{self.rows:,} rows against the {self.reference_rows:,} learnt from"
        if self.verdict == "too few rows":
            return [f"{against}: nothing can be told from fewer than {self.least} rows."]
        found = [
            f"{against}: {len(self.shifts)} comparisons, any false alarm in at most {self.alpha:.0%} of such files"
        ]
        found += [f"SHIFTED  {s.line()}" for s in self.shifts if s.shifted]
        for of in ("feature", "prediction"):
            names = dict.fromkeys(s.name for s in self.shifts if s.of == of)
            steady = [n for n in names if n not in self.shifted]
            if steady:
                found.append(f"steady   {_some(steady)}")
        return found + [measured.line() for measured in (self.performance, self.coverage) if measured]


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
