"""How a result, a description, a base and a plugin list read in a terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..kb.hindsight import FIRST
from ..kb.replay import AT, by_group, difference, difference_of, over_groups
from ..plugins import Plugin
from ..propose.forecast import LEVEL
from ..records import Config, Scorecard
from .sights import paired

if TYPE_CHECKING:
    from ..pictures import Picture
    from ..result import Run

BARS = "▁▂▃▄▅▆▇█"
# Of the families believed in most so many have their numbers told, and so many of them.
FAMILIES_SHOWN, NUMBERS_SHOWN = 5, 6
# Of the blocks of a composed network, for how many is told what was known of them.
BLOCKS_SHOWN = 3
# Of the held-out rows, what past runs' expectations must be worth to be mentioned.
MENTIONED = 0.1
# Letters of why something failed.
LETTERS = 100
# Said of a model where no fit was brought to its end.
CUT_SHORT = (
    "nothing was fitted in full in the time there was: what got furthest is taken; a larger --budget gives a better one"
)


def limit_lines(limits: Mapping[str, Any]) -> list[str]:
    """What the deployed models take of what they may, and whether that is kept."""
    shown = {"size": ("models", 1e-3, "kB"), "latency": ("one row alone", 1e3, "ms")}
    found = []
    for name, said in limits.items():
        what, scale, unit = shown[name]
        verdict = "kept" if said["kept"] else "NOT KEPT"
        found.append(
            f"{what} {said['taken'] * scale:.3g} {unit} of at most {said['limit'] * scale:.3g} {unit}: {verdict}"
        )
    return found


def summary(run: Run) -> str:
    """Leaderboard, score, why, where, and what to type next."""
    import pandas as pd

    lines = ["", f"leaderboard by family ({run.task.metric}, out of fold)"]
    board = run.leaderboard()
    for family, rows in board.groupby("family", sort=False):
        row, weight = rows.iloc[0], rows["weight"].sum()
        share = f", {weight:.0%} of the ensemble" if weight else ""
        score = row["outcome"] if pd.isna(row["score"]) else number(row["score"])
        lines.append(f"  {family:<22} {score:>8}  {row['seconds']:>6.1f} s  best of {len(rows)} tried{share}")
    lines += ["", *scorecard_lines(run.scorecard)]
    winner = run.winner.proposal
    lines += [
        "",
        f"why {winner.family}: {run.prior.reasons.get(winner.family) or what_spoke(winner.config, run.prior.leanings)}",
        f"  {winner.reason}",
    ]
    bundle = run.folder / "bundle"
    lines += ["", f"bundle: {bundle}", f"next:   metalearner serve {bundle}",
              f"        metalearner predict {bundle} ROWS --out predictions.csv"]  # fmt: skip
    return "\n".join(lines)


def what_spoke(config: Config, leanings: Mapping[str, str]) -> str:
    """Of a network that the catalogue does not list: what was known beforehand for its blocks or against them.

    >>> what_spoke(Config("net", parts={"stage": (Config("conv"),)}), {"conv": "conv x2.0: locality 0.07 (x2.0)"})
    'composed, not of the catalogue; conv x2.0: locality 0.07 (x2.0)'
    """
    told = dict.fromkeys(leanings[node.production] for _, node in config.walk() if node.production in leanings)
    return "; ".join(["composed, not of the catalogue", *list(told)[:BLOCKS_SHOWN]])


def scorecard_lines(card: Scorecard) -> list[str]:
    """Score with interval beside the naive baseline, other metrics, and the diagnosis of a missed goal."""
    others = " · ".join(f"{k} {number(v)}" for k, v in card.others.items() if v is not None)
    lines = [
        f"{card.metric} {number(card.value)} [{number(card.low)}, {number(card.high)}] on {card.rows:,} rows ({card.split})"
        f" · naive baseline {number(card.baseline)}"
    ]
    lines += [others] if others else []
    if card.goal_met is not None:
        lines.append(f"goal {card.goal:g} {'met' if card.goal_met else 'MISSED'}")
    return lines + [f"  {d}" for d in card.diagnosis]


def prior_lines(e: Mapping[str, Any]) -> list[str]:
    """Neighbours, odds with reasons, forecast."""
    near = e["neighbours"]
    if near:
        shown = ", ".join(f"{n['name']} {n['weight']:.2f} ({n['best_family']} won)" for n in near[:4])
        more = f" and {len(near) - 4} more" if len(near) > 4 else ""
        lines = [f"nearest: {shown}{more} · none of these {e['nothing_like_it']:.0%}"]
    else:
        lines = ["nearest: none, no past run is used"]
    odds = sorted(e["odds"].items(), key=lambda item: -item[1])
    lines.append("odds: " + ", ".join(f"{name} {share:.0%}" for name, share in odds[:6]))
    if odds and near:
        lines.append(f"because {e['reasons'].get(odds[0][0], '')}")
    forecast = e["forecast"]
    if forecast["value"] is not None:
        lines.append(
            f"forecast: {forecast['metric']} {number(forecast['value'])} [{number(forecast['low'])}, {number(forecast['high'])}]"
        )
    else:
        lines.append(f"forecast: none ({forecast['reason']})")
    return lines + [f"! {told}" for told in left_out(e)]


def left_out(e: Mapping[str, Any]) -> list[str]:
    """Of each family that failed when it was asked whether it takes the data, that it takes no part, and why."""
    return [f"'{name}' is left out: it failed ({brief(why)})" for name, why in e.get("left_out", {}).items()]


def fewer_models(e: Mapping[str, Any]) -> str:
    """That models were left out for want of time to predict by them, where the event of training says so."""
    models, kept = e.get("models", 0), e.get("models_kept", 0)
    return f"{kept} of its {models} models are taken: there was no time to predict by more" if kept < models else ""


def brief(why: str) -> str:
    """The first sentence of why something failed, cut off where it is long."""
    first = re.split(r"(?<=[.!?])\s|\n", why.strip(), maxsplit=1)[0].removesuffix(".")
    return first if len(first) <= LETTERS else first[: LETTERS - 1] + "…"


def proposal_lines(look: Mapping[str, Any]) -> list[str]:
    """What `metalearner propose` prints."""
    task = look["task"]
    lines = [
        f"{look['name']}: {task['target']} · {task['output']} · {task['metric']}",
        *prior_lines(look),
        "",
        "first to try:",
    ]
    for p in look["proposals"]:
        lines.append(f"  {p['family']:<22} {p['reason']}")
    lines += ["", "why:"] + [
        f"  {reason}" for _, reason in sorted(look["reasons"].items(), key=lambda i: -look["odds"][i[0]])[:5]
    ]
    return lines


def explanation_lines(look: Mapping[str, Any]) -> list[str]:
    """What `--explain` adds: the blocks believed in more or less than chance, the furthest first, and those that were learnt."""
    odds = look["productions"]
    lines = [f"  {look['leanings'][name]}" for name in sorted(look["leanings"], key=lambda n: -abs(math.log(odds[n])))]
    lines = ["blocks", *(lines or ["  no probe is confirmed and no neighbour tells: each as likely as the next"])]
    learnt = [f"  {entry['told']}" for entry in look["learnt"]]
    lines += ["learnt from past runs", *learnt] if learnt else []
    likeliest = sorted(look["soft"], key=lambda name: -look["odds"][name])[:FAMILIES_SHOWN]
    narrowed = [f"  {name}: {_narrowed(look['soft'][name])}" for name in likeliest if look["soft"][name]]
    lines += ["numbers that are looked for first where they did well on neighbours", *narrowed] if narrowed else []
    shown = sorted(look["space"], key=lambda name: -look["odds"][name])[:FAMILIES_SHOWN]
    shown = sorted(look["space"], key=lambda name: -look["odds"][name])[:FAMILIES_SHOWN]
    searched = _searched([look["space"][name] for name in shown])
    return [*lines, "what is searched; --narrow trees.leaves=8..64, say, searches less of it", *searched]


def _searched(families: Iterable[Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """A line for each production that families are made of: its numbers with their ends or options."""
    found: dict[str, dict[str, str]] = {}
    for space in families:
        for place, told in space.items():
            name, _, number = place.rpartition(".")
            ends = ",".join(told["options"]) if "options" in told else f"{told['low']:g}..{told['high']:g}"
            found.setdefault(name, {})[number] = ends
    return [f"  {name}: " + "  ".join(f"{n} {ends}" for n, ends in own.items()) for name, own in found.items()]


def _narrowed(spread: Mapping[str, Any]) -> str:
    """Where numbers lie, for people: "depth 2 to 4, norm batch 80 %"."""
    told = []
    for path, where in list(spread.items())[:NUMBERS_SHOWN]:
        name = path.rpartition(":")[2]
        if isinstance(where, Mapping):
            told.append(f"{name} " + ", ".join(f"{option} {share:.0%}" for option, share in where.items()))
        else:
            low, high = (f"{value:.3g}" for value in where)
            told.append(f"{name} {low}" if low == high else f"{name} {low} to {high}")
    more = len(spread) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def description_lines(look: Mapping[str, Any]) -> list[str]:
    """What `metalearner describe` prints."""
    from ..describe import BUILTIN_PROBES, explain
    from ..records import Description

    lines = [f"{look['name']}: {look['rows']:,} rows"]
    for name, view in look["views"].items():
        axes = " x ".join(f"{a['kind']} {a['size']}" for a in view["axes"])
        codes = f" · {len(view['cardinalities'])} categories" if view["cardinalities"] else ""
        lines.append(f"view {name}: {axes} · {view['channels']} channels{codes}")
    for name, value, unit, sentence in explain(Description.from_json(look["description"]), BUILTIN_PROBES):
        shown = "-" if value is None else f"{value:.4g}"
        lines.append(f"  {name:<34} {shown:>10} {unit:<10} {sentence}")
    lines += [line for sight in look["sights"] for line in _sight_lines(sight)]
    return lines + [line for picture in paired(look["description"]["numbers"]) for line in _pair_lines(picture)]


def _pair_lines(picture: Picture) -> list[str]:
    """A line for each pair of bars."""
    first, second = picture.series
    top = max([0.0, *(v for v in (*first.y, *second.y) if v is not None)]) or 1.0
    told = [f"{picture.title}, {picture.y}"]
    for name, one, other, note in zip(first.x, first.y, second.y, first.notes):
        bars = _bars((one, other), top)
        told.append(f"  {bars}  {name}: {one:.2f} {first.name}, {other:.2f} {second.name} ({note})")
    return told


def _bars(values: Iterable[float | None], top: float) -> str:
    """From 0 to the highest."""
    return "".join(" " if v is None else BARS[int(max(0.0, v / top) * (len(BARS) - 1))] for v in values)


def _sight_lines(sight: Mapping[str, Any]) -> list[str]:
    """A line as bars from 0 to its highest, a grid as rows of them."""
    grid = isinstance(sight["values"][0], list | tuple)
    rows = sight["values"] if grid else [sight["values"]]
    top = max((v for row in rows for v in row if v is not None), default=0.0) or 1.0
    bars = [_bars(row, top) for row in rows]
    if grid:
        return [sight["title"], *(f"  {row}" for row in bars)]
    chance = "" if sight["chance"] is None else f", {sight['chance']:.2f} by chance"
    last = sight["first"] + len(sight["values"]) - 1
    return [f"{sight['title']}, {sight['first']} to {last} {sight['axis']}: {top:.2f} at most{chance}", f"  {bars[0]}"]


def stats_lines(found: Mapping[str, Any]) -> list[str]:
    """What `metalearner kb stats` prints: one line a figure, nested ones indented."""
    lines = []
    for key, value in found.items():
        if value == {}:
            continue
        if isinstance(value, Mapping):
            lines.append(f"{key}:")
            lines += [f"  {k:<24} {_plain(v)}" for k, v in value.items()]
        else:
            lines.append(f"{key:<26} {_plain(value)}")
    if found["learnt"].get("since"):
        lines.append(f"{found['learnt']['since']} data sets came since what proposes was trained: metalearner kb train")
    return lines


def verification_lines(found: Sequence[Mapping[str, Any]], passed: Mapping[str, int]) -> list[str]:
    """One line a record that was run again, and what was passed over."""
    lines = []
    for r in found:
        verdict = "agrees" if r["agrees"] else "DIFFERS"
        lines.append(
            f"{verdict:<8} {r['dataset']:<24} {r['family']:<20} {number(r['recorded'])} then, {number(r['again'])} now"
        )
    agreeing = sum(r["agrees"] for r in found)
    over = "".join(f" · {count} passed over: {why}" for why, count in passed.items())
    return [*lines, f"{agreeing} of {len(found)} records agree{over}"]


def expectations(train: Mapping[str, Any]) -> str:
    """What an ensemble was chosen by, as its event says, where that was more than held-out rows; else nothing.

    >>> expectations({"rows": 50, "expected_rows": 80.2}), expectations({"rows": 5000, "expected_rows": 80.2})
    ('50 held-out rows, and what past runs expect of each family, which counts as 80 more', '')
    """
    rows, expected = train.get("rows", 0), train.get("expected_rows", 0.0)
    if not rows or expected < MENTIONED * rows:
        return ""
    return f"{rows} held-out rows, and what past runs expect of each family, which counts as {expected:.0f} more"


def replay_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Mean regret over groups of each arm after so many trials, and how the last arm compares with the others."""
    if not rows:
        return ["No data set of the base is known well enough to be searched again."]
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    groups = len({row["group"] for row in rows})
    lines = [f"Regret after so many trials, mean over {groups} groups: 0 the best config known, 1 the median one", ""]
    lines.append(f"{'':<22}" + "".join(f"{k:>8}" for k in AT))
    for arm in arms:
        means = (sum(found.values()) / len(found) for k in AT if (found := by_group(rows, arm, k)))
        lines.append(f"{arm:<22}" + "".join(f"{mean:>8.3f}" for mean in means))
    lines += ["", f"{arms[-1]} against, after 10 trials (95 % interval over groups)"]
    for arm in arms[:-1]:
        mean, low, high = difference(rows, arms[-1], arm, 10)
        lines.append(f"  {arm:<20} {mean:+.3f} [{low:+.3f}, {high:+.3f}]")
    return lines


def hindsight_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """How often the best family was named first, and how forecasts did; means over groups."""
    known = [r for r in rows if "low" in r]
    if not known:
        return []

    def mean(value: Callable[[Mapping[str, Any]], float]) -> float:
        found = over_groups(known, value)
        return sum(found.values()) / len(found)

    gap, low, high = difference_of(
        over_groups(known, lambda r: r["score"]), over_groups(known, lambda r: r["neighbours_score"])
    )
    return [
        f"The best family is among the {FIRST} with the highest odds for {mean(lambda r: r['believed']):.0%}, among the first {FIRST}"
        f" tried for {mean(lambda r: r['named']):.0%}, among a constant {FIRST} of the modality for {mean(lambda r: r['constant']):.0%}",
        f"{LEVEL:.0%} forecast intervals cover {mean(lambda r: r['low'] <= r['truth'] <= r['high']):.0%} and are"
        f" {mean(lambda r: r['high'] - r['low']):.2f} of skill wide; interval score {mean(lambda r: r['score']):.3f}, of"
        f" neighbours' quantiles {mean(lambda r: r['neighbours_score']):.3f}, difference {gap:+.3f} [{low:+.3f}, {high:+.3f}]",
    ]


def backbone_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line a backbone; those that cannot be loaded with the reason."""
    if not found:
        return ["no backbones: install metalearner-level2-transfer, or add one: metalearner backbone add FOLDER"]
    lines = []
    for one in found:
        size = f"not loaded: {one['missing']}" if one["missing"] else (
            f"{one['parameters'] / 1e6:5.1f} M parameters, {one['layers']} layers, {one['width']} features"
        )  # fmt: skip
        lines.append(f"{one['name']:<22} {one['reads']:<9} {size} · {one['licence']} · {one['origin']}")
    return lines


def plugin_lines(found: Iterable[Plugin]) -> list[str]:
    """One block a plugin: what it brings, or why it failed."""
    lines = []
    for p in found:
        lines.append(f"{p.name} {p.version} ({p.distribution})" + (f"  FAILED: {p.failure}" if p.failure else ""))
        lines += [f"  {kind:<12} {', '.join(names)}" for kind, names in p.brings.items()]
    return lines


def sparkline(values: Sequence[float]) -> str:
    """The best so far, trial by trial, as bars.

    >>> sparkline([0.0, 0.5, 1.0])
    '▁▅█'
    """
    best: list[float] = []
    bars = ""
    for v in values:
        best.append(max([v, *best[-1:]]))
    low, high = (min(best), max(best)) if best else (0.0, 0.0)
    for v in best[:: max(1, len(best) // 30)]:
        bars += BARS[round((v - low) / (high - low) * (len(BARS) - 1)) if high > low else 0]
    return bars


def number(value: float | None) -> str:
    """A score as it is shown everywhere."""
    return "-" if value is None else f"{value:.3f}" if abs(value) < 100 else f"{value:,.1f}"


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
