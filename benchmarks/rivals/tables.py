"""From lines of results to the tables that are shown: scores, ranks, paired differences, sizes, seconds, goals."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

OURS = "metalearner"
MEASURED = ("log_loss", "fit_seconds", "row_ms", "bytes", "version")  # not in the lines of failures
RESAMPLES = 10_000
COMMAND = ".venv/bin/python benchmarks/accuracy.py"
SCORES = (
    "Mean and standard deviation over {} seeds, of the split and of the method; in bold the best and what rounds to it."
)
RANKS = "Mean rank over {} data sets (1 is best), 95 % bootstrap over data sets; a failure is ranked last."
LEAST = (
    ("fashion", "Fashion-MNIST, 6,000 to learn from and 10,000 to judge,", 0.90),
    ("spoken-digits", "spoken digits, random split,", 0.97),
)
DIFFERENCES = """Paired difference of metalearner's skill to each rival's, with the same split and seed, 95 % bootstrap over data sets.
Skill is the share of the naive baseline's shortfall that is won: (score - naive) / (1 - naive), for R2 with naive 0; below zero
counts as zero, a failure too."""
COSTS = """Medians over data sets and seeds of the model's bytes on disk and of the milliseconds for a single row with the model in memory;
the share of the seconds that fitting used; the most by which fitting, and the whole process with imports, test rows and 23 single
rows, went beyond them."""


def read(file: Path) -> list[dict[str, Any]]:
    """The lines of a results file; none where there is no file. A last line that was cut off is left out."""
    found = []
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def reports(lines: list[dict[str, Any]], order: list[str], seconds: float, cores: int) -> dict[str, str]:
    """Text by name: "tables" for tables, "signals" for series, pictures and sound."""
    found = {}
    for name, title, kinds in (
        ("tables", "tables", ("table",)),
        ("signals", "series, pictures and sound", ("series", "picture", "sound")),
    ):
        own = pd.DataFrame([line for line in lines if line["kind"] in kinds])
        if own.empty:
            continue
        own = own.drop_duplicates(["set", "seed", "method"], keep="last").reindex(
            columns=list(dict.fromkeys([*own, *MEASURED]))
        )
        methods = [m for m in order if m in set(own["method"])]
        head = (f"# Accuracy on {title}, {seconds:g} s, {cores} core{'s' if cores > 1 else ''} each\n\n"
                f"Made by `{COMMAND} --seconds {seconds:g} --cores {cores}`, state {', '.join(sorted(set(own['code'])))}. "
                f"Versions: {_versions(own)}.")  # fmt: skip
        parts = [
            head,
            scores(own, methods),
            *(_comparison(own, methods) if name == "tables" else []),
            costs(own, methods),
        ]
        parts += [goals(own, name), failures(own)]
        found[name] = "\n\n".join(p for p in parts if p) + "\n"
    return found


def _versions(own: pd.DataFrame) -> str:
    known = own.dropna(subset=["version"])
    return ", ".join(sorted({f"{m} {v}" for m, v in zip(known["method"], known["version"]) if v})) or "none said"


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Markdown."""
    return "\n".join("| " + " | ".join(r) + " |" for r in [head, ["---"] * len(head), *rows])


def scores(own: pd.DataFrame, methods: list[str]) -> str:
    """Mean over seeds of the score on rows not learnt from, and its spread; the best in bold."""
    rows = []
    for (name, metric), part in own.groupby(["set", "metric"], sort=False):
        held = {m: part.loc[part["method"] == m, "score"].astype(float) for m in methods}
        best = max((v.mean() for v in held.values() if len(v) and v.notna().all()), default=np.nan)
        counts = f"{part['train_rows'].max()} / {part['test_rows'].max()}"
        naive = f"{part['baseline'].mean():.3f}"
        rows.append([str(name), str(metric), counts, naive, *(_cell(v, best) for v in held.values())])
    seeds = own["seed"].nunique()
    said = SCORES.format(seeds) if seeds > 1 else "One seed; in bold the best and what rounds to it."
    return said + "\n\n" + table(["data", "metric", "rows to learn / to judge", "naive", *methods], rows)


def _cell(values: pd.Series, best: float) -> str:
    if values.isna().any() or values.empty:
        return "" if values.empty else "failed"
    text = f"{values.mean():.3f}" + (f" ± {values.std(ddof=0):.3f}" if len(values) > 1 else "")
    return f"**{text}**" if values.mean() >= best - 5e-4 else text


def complete(own: pd.DataFrame, methods: list[str], value: str) -> pd.DataFrame:
    """(set, seed) x method, only where every method has a line."""
    return own.set_index(["set", "seed", "method"])[value].unstack("method").reindex(columns=methods).dropna()


def bootstrap(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean over data sets (n,), which are drawn anew with replacement."""
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def _interval(values: np.ndarray, form: str) -> str:
    return "[" + ", ".join(format(v, form) for v in bootstrap(values)) + "]"


def ranks(own: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """Rank of each method on each data set, mean over seeds; a failure comes last, equals share their places."""
    held = complete(own.assign(filled=own["score"].astype(float).fillna(-1e9)), methods, "filled")
    return held.rank(axis=1, ascending=False).groupby(level="set").mean()


def differences(own: pd.DataFrame, rival: str) -> np.ndarray:
    """Skill of metalearner minus the rival's on each data set (n,), mean over the seeds both have."""
    held = complete(own, [OURS, rival], "skill")
    return (held[OURS] - held[rival]).groupby(level="set").mean().to_numpy()


def _comparison(own: pd.DataFrame, methods: list[str]) -> list[str]:
    """Mean ranks, and paired differences against each rival."""
    held = ranks(own, methods)
    if held.empty:
        return ["No data set has a result of every method yet: no ranks."]
    first = held.eq(held.min(axis=1), axis=0).sum()
    rows = [
        [str(m), f"{mean:.2f} {_interval(held[m].to_numpy(), '.2f')}", str(first[m])]
        for m, mean in held.mean().sort_values().items()
    ]
    head = ["method", "mean rank", "data sets where it is first"]
    found = [RANKS.format(len(held)) + "\n\n" + table(head, rows)]
    if OURS not in methods:
        return found
    rows = []
    for m in [m for m in methods if m != OURS]:
        gap = differences(own, m)
        low, high = bootstrap(gap)
        said = "ahead" if low > 0 else "behind" if high < 0 else "not told apart"
        wins = f"{(gap > 1e-9).sum()} / {(abs(gap) <= 1e-9).sum()} / {(gap < -1e-9).sum()}"
        rows.append([m, f"{gap.mean():+.4f} {_interval(gap, '+.4f')}", said, wins])
    head = ["rival", "metalearner minus rival", "metalearner is", "data sets won / equal / lost"]
    return [*found, DIFFERENCES + "\n\n" + table(head, rows)]


def costs(own: pd.DataFrame, methods: list[str]) -> str:
    """Bytes, single rows and seconds."""
    rows = []
    for m in methods:
        part = own[(own["method"] == m) & own["score"].notna()]
        if part.empty:
            continue
        used, beyond = part["fit_seconds"] - part["seconds"], part["wall_seconds"] - part["seconds"]
        share = 100 * (part["fit_seconds"] / part["seconds"]).mean()
        rows.append([m, _bytes(part["bytes"].median()), f"{part['row_ms'].median():.1f}", f"{share:.0f} %",
                     f"{max(0.0, used.max()):.1f}", f"{beyond.max():.1f}"])  # fmt: skip
    head = ["method", "model", "single row, ms", "seconds used", "worst overrun, s", "whole process beyond, s"]
    return COSTS + "\n\n" + table(head, rows)


def _bytes(count: float) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"


def ratio(own: pd.DataFrame, rival: str, value: str) -> float:
    """Median over data sets of the rival's mean divided by ours."""
    held = complete(own[own["score"].notna()], [OURS, rival], value).groupby(level="set").mean()
    return float((held[rival] / held[OURS]).median())


def goals(own: pd.DataFrame, name: str) -> str:
    """What was set out to be reached, and what was."""
    there = set(own["method"])
    if OURS not in there:
        return ""
    made = _table_goals(own, there) if name == "tables" else _signal_goals(own, there)
    rows = [[goal, figure, "yes" if met else "no"] for goal, figure, met in made]
    return "Goals set before measuring.\n\n" + table(["goal", "measured", "met"], rows) if rows else ""


def _table_goals(own: pd.DataFrame, there: set[str]) -> list[tuple[str, str, bool]]:
    held = ranks(own, sorted(there)).mean()
    made = []
    if len(held) > 1 and held.notna().all():
        place, beside = 1 + int((held < held[OURS] - 1e-9).sum()), int((abs(held - held[OURS]) <= 1e-9).sum()) - 1
        said = f"{held[OURS]:.2f}, place {place} of {len(held)}{', shared' if beside else ''}"
        made.append(("mean rank first", said, place == 1 and not beside))
    for rival in sorted(there & {"autogluon", "autogluon-best"}):
        low, high = bootstrap(differences(own, rival))
        made.append((f"ahead of {rival}, the interval above zero", f"[{low:+.4f}, {high:+.4f}]", low > 0))
        smaller, faster = ratio(own, rival, "bytes"), ratio(own, rival, "row_ms")
        if np.isnan(smaller):  # no data set where both have a model
            continue
        made.append((f"models at most a tenth of {rival}'s", f"its are {smaller:.1f} times as large", smaller >= 10))
        made.append(
            (f"single rows ten times faster than {rival}'s", f"its take {faster:.1f} times as long", faster >= 10)
        )
    return made


def _signal_goals(own: pd.DataFrame, there: set[str]) -> list[tuple[str, str, bool]]:
    made = []
    series = own[own["kind"] == "series"]
    if "minirocket" in set(series["method"]):
        held = complete(series.assign(filled=series["score"].astype(float).fillna(0)), [OURS, "minirocket"], "filled")
        ours, theirs = held.groupby(level="set").mean().mean()
        count = held.index.get_level_values("set").nunique()
        goal = f"mean accuracy over {count} UCR and UEA sets at or above MiniRocket's"
        made.append((goal, f"{ours:.4f} against {theirs:.4f}", bool(ours >= theirs)))
    for name, title, least in LEAST:
        part = own[(own["set"] == name) & (own["method"] == OURS)]
        if len(part):
            value = float(part["score"].astype(float).fillna(0).mean())
            made.append((f"{title} in {part['seconds'].max():g} s at or above {least}", f"{value:.4f}", value >= least))
    return made


def failures(own: pd.DataFrame) -> str:
    """What did not end, and what it said."""
    bad = own[own["score"].isna()]
    rows = [[r["set"], r["method"], str(r["seed"]), str(r["error"]).replace("|", "/")] for _, r in bad.iterrows()]
    return "Failures.\n\n" + table(["data", "method", "seed", "what it said"], rows) if rows else ""
