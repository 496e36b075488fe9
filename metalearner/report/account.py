"""What a run has to show, finished or under way, read from its folder. Report and pages say the same because both ask here.

Without torch: nothing is loaded but JSON, and arrays of what was predicted.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .. import events, runs
from ..dataset import Dataset
from ..errors import UserError
from ..home import home
from ..pictures import Picture, Series
from ..plugins import Registry
from ..records import FULL, Scorecard, Task, View
from ..setting import Setting
from .text import CUT_SHORT, expectations, fewer_models

# A core of a laptop that works takes about so many watts; the rest of the machine is not counted.
WATTS = 10.0
# Curves of so many configs are drawn; more are a thicket.
CURVES = 6


@dataclass(frozen=True)
class Account:
    """One run's request, events and result as its folder holds them."""

    folder: Path
    request: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]
    result: Mapping[str, Any] | None

    @classmethod
    def open(cls, folder: Path) -> Account:
        """Read the folder. Raises UserError where it is none of a run."""
        file, done = folder / "request.json", folder / "run.json"
        if not file.exists():
            raise UserError(f"'{folder}' is not the folder of a run.", "It would hold a request.json.", "ls runs")
        result = json.loads(done.read_text()) if done.exists() else None
        return cls(folder, json.loads(file.read_text()), events.read(folder / "events.jsonl"), result)

    def told(self, stage: str) -> Mapping[str, Any]:
        """What was last said at a stage; empty where it was not reached."""
        return next((e for e in reversed(self.events) if e["stage"] == stage), {})

    @cached_property
    def state(self) -> str:
        """ "finished", "running", or "cut off": by a pause, a crash, or a machine that was switched off."""
        if self.result is not None:
            return "finished"
        return "running" if runs.owner(self.folder) is not None else "cut off"

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.name

    @cached_property
    def task(self) -> Task | None:
        """What is predicted; None before it is known."""
        found = self.told("formulate") or (self.result or {})
        return Task.from_json(found["task"]) if found else None

    @cached_property
    def score(self) -> Scorecard | None:
        """How good the packaged model is; None before it was measured."""
        found = self.told("evaluate")
        return Scorecard.from_json(found["scorecard"]) if found else None

    @cached_property
    def trials(self) -> list[Mapping[str, Any]]:
        """Every fit in the order of its end, those of an earlier process once."""
        found = {
            e["trial"]["number"]: e["trial"] | {"left": e.get("left")} for e in self.events if e["stage"] == "search"
        }
        return sorted(found.values(), key=lambda t: t["finished"])

    @cached_property
    def good(self) -> list[Mapping[str, Any]]:
        """Full fits that went well."""
        return [t for t in self.trials if t["outcome"] == "ok" and t["rung"] >= FULL and t["skill"] is not None]

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The best full fit so far, by what was held out of it."""
        return max(self.good, key=lambda t: t["skill"], default=None)

    @property
    def left(self) -> float | None:
        """Seconds that the search had left when the last fit ended; None where it counts no seconds."""
        left = self.trials[-1]["left"] if self.trials else None
        return None if left is None or left > 1e9 else max(0.0, left)

    @cached_property
    def weights(self) -> dict[int, float]:
        """The share of each trial in the packaged model, by its number."""
        parts = self.told("train").get("weights", {})
        return {int(name.rpartition("#")[2]): share for name, share in parts.items()}

    def board(self) -> list[dict[str, Any]]:
        """One row a config, best first, failures left out; partial fits after full ones."""
        furthest: dict[str, Mapping[str, Any]] = {}
        for trial in self.trials:
            if trial["outcome"] == "ok":
                key = json.dumps(trial["proposal"]["config"], sort_keys=True)
                if key not in furthest or trial["rung"] >= furthest[key]["rung"]:
                    furthest[key] = trial
        ranked = sorted(
            furthest.values(), key=lambda t: (t["rung"] < FULL, -(t["skill"] if t["skill"] is not None else -9))
        )
        return [
            {"family": t["proposal"]["family"], "score": t["score"], "skill": t["skill"], "share": self.weights.get(t["number"], 0.0),
             "seconds": t["seconds"] + float(t["facts"].get("seconds_before", 0.0)), "fitted": t["rung"],
             "by": t["proposal"]["arm"], "why": t["proposal"]["reason"], "trial": t["number"]}
            for t in ranked
        ]  # fmt: skip

    def families(self) -> list[dict[str, Any]]:
        """One row a family: its best config, how many were tried, its share in the model."""
        rows: dict[str, dict[str, Any]] = {}
        for row in self.board():
            seen = rows.setdefault(row["family"], {**row, "tried": 0, "share": 0.0})
            seen["tried"] += 1
            seen["share"] += row["share"]
        return list(rows.values())

    def failures(self) -> list[dict[str, Any]]:
        """What went wrong, how often, and why; the commonest first."""
        counted = Counter(
            (t["proposal"]["family"], t["outcome"], t["error"]) for t in self.trials if t["outcome"] != "ok"
        )
        return [{"family": f, "outcome": o, "why": why, "times": n} for (f, o, why), n in counted.most_common()]

    def progress(self) -> Picture | None:
        """The best score against time, beside what was forecast and what one gets without looking; None before the first."""
        if not self.good or self.task is None:
            return None
        at, best, skill = [], [], float("-inf")
        for trial in self.good:
            if trial["skill"] > skill:
                skill = trial["skill"]
                at.append(trial["finished"])
                best.append(trial["score"])
        at.append(self.trials[-1]["finished"])
        best.append(best[-1])
        dots = Series("models", tuple(t["finished"] for t in self.good), tuple(t["score"] for t in self.good), "points",
                      tuple(f"{t['proposal']['family']} {t['score']:.4g}" for t in self.good))  # fmt: skip
        forecast = self.told("propose").get("forecast") or {}
        band = (forecast["low"], forecast["high"], "forecast") if forecast.get("low") is not None else None
        says = "Every dot is a model, the line the best so far, on rows held out of learning; the band is what was forecast before."
        line = Series("best so far", tuple(at), tuple(best), "steps")
        return Picture("Best so far", says, "seconds", self.task.metric, (dots, line), band=band)

    def curves(self) -> Picture | None:
        """How the best configs that learn step by step went; None where there is none."""
        found: list[Series] = []
        for trial in sorted(self.trials, key=lambda t: -(t["skill"] if t["skill"] is not None else -9)):
            curve = [v for v in trial["facts"].get("curve") or () if isinstance(v, int | float)]
            name = trial["proposal"]["family"]
            if len(curve) > 2 and len(found) < CURVES:
                found.append(Series(f"{name} #{trial['number']}", tuple(range(1, len(curve) + 1)), tuple(curve)))
        says = "The loss of the best networks on held-out rows while they learnt: less is better."
        return Picture("Learning curves", says, "while learning", "loss", tuple(found)) if found else None

    def decisions(self) -> list[tuple[str, str, str]]:
        """(stage, what was decided, why), in the order in which it was."""
        found: list[tuple[str, str, str]] = []
        if self.task is not None:
            for reason in self.task.reasons:
                what, _, why = reason.partition(": ")
                found.append(("formulate", what, why))
            if self.task.goal is not None:
                found.append(("formulate", f"goal {self.task.metric} {self.task.goal:g}", "asked for"))
        found += [("prepare", f["what"], f["done"]) for f in self.told("prepare").get("findings", ())]
        prior = self.told("propose")
        for name, share in sorted(prior.get("odds", {}).items(), key=lambda item: -item[1])[:5]:
            found.append(("propose", f"{name} {share:.0%}", prior["reasons"].get(name, "")))
        found += [
            ("propose", f"'{name}' left out", f"it failed: {why}") for name, why in prior.get("left_out", {}).items()
        ]
        if prior.get("loss"):
            found.append(("propose", f"loss {prior['loss'][0]}", prior["loss"][1]))
        if failed := self.told("handover"):
            found.append(
                ("search", f"'{failed['instead']}' went on", f"'{failed['searcher']}' failed: {failed['error']}")
            )
        if self.told("searched").get("ladder"):
            found.append(("search", "stopped", self.told("searched")["ladder"]))
        weights, by = self.told("train").get("weights", {}), expectations(self.told("train")) or "held-out rows"
        why = f"alone it is best, judged by {by}" if len(weights) == 1 else f"together they are best, judged by {by}"
        why = CUT_SHORT if self.told("train").get("cut_short") else why
        for name, share in sorted(weights.items(), key=lambda item: -item[1]):
            found.append(("train", f"{name}, {share:.0%} of the model", why))
        if told := fewer_models(self.told("train")):
            found.append(("train", "fewer models", told))
        return found

    def setting(self, registry: Registry) -> Setting | None:
        """The prepared data and what deals with them; None before they are prepared, and once they are removed."""
        folder = self.folder / "data"
        return Setting(Dataset.open(folder), registry) if (folder / "dataset.json").exists() else None

    def views(self, registry: Registry) -> dict[str, View]:
        """How the data look as tensors; empty where there are none."""
        setting = self.setting(registry)
        return setting.views if setting else {}

    def members(self) -> list[tuple[float, dict[str, Any]]]:
        """What the packaged model is made of: shares with proposals, the largest first."""
        proposals = {t["number"]: t["proposal"] for t in self.trials}
        ordered = sorted(self.weights.items(), key=lambda item: -item[1])
        return [(share, proposals[number]) for number, share in ordered if number in proposals]

    def cost(self) -> dict[str, float] | None:
        """Seconds, core-hours and an estimate of watt-hours; None before the end."""
        if self.result is None:
            return None
        cpu = self.result.get("cpu_seconds") or sum(t["seconds"] for t in self.trials)
        return {"seconds": self.result["seconds"], "cpu_hours": cpu / 3600, "watt_hours": cpu / 3600 * WATTS}

    def reproduce(self) -> str:
        """The command that asks the same again."""
        asked, wish, budget = self.request, self.request["wish"], self.request["budget"]
        source = Path(asked["source"] or "DATA")
        uploaded = source.is_relative_to(home() / "uploads")  # whoever uploaded it has it under its own name
        parts = ["metalearner", "run", source.name if uploaded else str(source)]
        parts += [wish["sentence"]] if wish.get("sentence") else []
        for name in ("target", "metric", "goal", "group_by", "max_size", "max_latency"):
            parts += [f"--{name.replace('_', '-')}", str(wish[name])] if wish.get(name) else []
        parts += ["--budget", f"{budget['seconds']:g}s" if budget.get("seconds") else f"{budget.get('trials')}trials"]
        usual = {"test": "auto", "seed": 0, "executor": "local", "workers": 2, "searcher": "auto"}
        for name, value in usual.items():
            parts += [f"--{name}", str(asked[name])] if asked.get(name, value) != value else []
        parts += ["--families", ",".join(asked["families"])] if asked.get("families") else []
        parts += [part for name in asked.get("callbacks", ()) for part in ("--callback", name)]
        parts += [f"--keep={one}" for one in asked.get("keep", ())]
        parts += [f"--narrow={one}" for one in asked.get("narrow", ())]
        parts += [f"--{flag}" for flag in ("cold", "blind") if asked.get(flag)]
        parts += [] if asked.get("learn", True) else ["--no-learn"]
        return shlex.join(parts)

    def manifest(self) -> Mapping[str, Any]:
        """What the bundle says of itself; empty where there is none."""
        file = self.folder / "bundle" / "manifest.json"
        return json.loads(file.read_text()) if file.exists() else {}
