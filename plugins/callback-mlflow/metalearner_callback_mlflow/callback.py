"""What becomes of a run's events: a run of MLflow's with parameters, metrics, tags and files, and one below it for each model kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from metalearner import grammar
from metalearner.kinds import Callback, Observer
from metalearner.records import FULL, Config

# Of what was asked, what is no parameter of a run: where its data lie, and what has entries of its own.
ASIDE = ("source", "wish", "budget", "callbacks")


class MLflow(Callback):
    """Where MLFLOW_TRACKING_URI says; in the run's own folder otherwise."""

    name = "mlflow"

    def begin(self, folder: Path) -> Observer:
        """A run that was told of before is gone on with from where that stopped."""
        from .store import Store

        return Tracked(folder, Store(folder))


class Tracked(Observer):
    """One run of ours as one run of MLflow's."""

    def __init__(self, folder: Path, store: Any) -> None:
        self.folder, self.store = folder, store
        self.heard = 0
        self.best: float | None = None  # skill
        self.trials: dict[int, Mapping[str, Any]] = {}
        self.weights: Mapping[str, float] = {}
        self.finished = False
        store.parameters({**{k: v for k, v in store.request.items() if k not in ASIDE}, **_asked(store.request)})

    def hear(self, event: Mapping[str, Any]) -> None:
        """Keep what counts; what was told before is only remembered."""
        told: Callable[[Mapping[str, Any]], Mapping[str, float]] | None = getattr(self, f"_{event['stage']}", None)
        metrics = told(event) if told else {}
        self.heard += 1
        if self.heard > self.store.heard:
            self.store.metrics(metrics, event["at"], round(event["at"]))
            self.store.hear(self.heard)

    def end(self, report: Callable[[], str]) -> None:
        """The models that were kept, the bundle and the report of a run that is done; how it ended."""
        if self.finished:
            for name, weight in self.weights.items():
                trial = self.trials[int(name.rpartition("#")[2])]
                self.store.model(
                    name, _numbers(trial), {"score": trial["score"], "weight": weight, "seconds": trial["seconds"]}
                )
            self.store.files(self.folder / "bundle", "bundle")
            self.store.text(report(), "report.html")
        self.store.close(self.finished)

    # -- stages: what of each becomes a metric; tags and parameters are the same however often they are set ------

    def _formulate(self, e: Mapping[str, Any]) -> Mapping[str, float]:
        task = e["task"]
        self.store.parameters({f"task.{name}": task[name] for name in ("target", "output", "metric", "goal")})
        self.store.tags({"source": e["source"], "sentence": task["sentence"]})
        return {}

    def _prepare(self, e: Mapping[str, Any]) -> Mapping[str, float]:
        self.store.parameters({"data.rows": e["rows"], "data.sealed": e["sealed"], "data.folds": e["folds"]})
        self.store.tags({"data.sha256": e["card"]["data_hash"]})
        return {}

    def _propose(self, e: Mapping[str, Any]) -> Mapping[str, float]:
        forecast = e["forecast"]
        return {f"forecast.{k}": forecast[k] for k in ("value", "low", "high") if forecast[k] is not None}

    def _search(self, e: Mapping[str, Any]) -> Mapping[str, float]:
        trial = e["trial"]
        self.trials[trial["number"]] = trial
        found = {"tried": float(len(self.trials))}
        if trial["outcome"] == "ok" and trial["rung"] >= FULL:
            found["score"] = trial["score"]
            if self.best is None or trial["skill"] > self.best:
                self.best = trial["skill"]
                found["best"] = trial["score"]
        return found

    def _train(self, e: Mapping[str, Any]) -> Mapping[str, float]:
        self.weights = e["weights"]
        return {"out_of_fold": e["score"]}

    def _evaluate(self, e: Mapping[str, Any]) -> Mapping[str, float]:
        card = e["scorecard"]
        others = {k: v for k, v in card["others"].items() if v is not None}
        bounds = {f"{card['metric']}.{k}": card[k] for k in ("low", "high", "baseline")}
        self.store.tags({"measured on": card["split"]})
        return {card["metric"]: card["value"], **bounds, **others}

    def _deploy(self, e: Mapping[str, Any]) -> Mapping[str, float]:
        return {"bundle.megabytes": e["bytes"] / 1e6}

    def _learned(self, e: Mapping[str, Any]) -> Mapping[str, float]:
        self.finished = True
        return {"seconds": e["seconds"]}


def _asked(request: Mapping[str, Any]) -> dict[str, Any]:
    """What was wished for and may be spent, one by one."""
    both = {**request["wish"], **{f"budget.{k}": v for k, v in request["budget"].items()}}
    return {k: v for k, v in both.items() if k != "sentence"}


def _numbers(trial: Mapping[str, Any]) -> dict[str, Any]:
    """The family and the numbers of a model, by path."""
    proposal = trial["proposal"]
    return {"family": proposal["family"], **grammar.given(Config.from_json(proposal["config"]))}
