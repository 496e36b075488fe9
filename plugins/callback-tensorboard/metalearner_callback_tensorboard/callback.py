"""What becomes of a run's events: scalars of the search, and each model as a session of hyperparameters."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metalearner import grammar
from metalearner.kinds import Callback, Observer
from metalearner.records import FULL, Config

FOLDER = "tensorboard"  # below the run's


class TensorBoard(Callback):
    """Event files in the run's folder, from its first event on."""

    name = "tensorboard"

    def begin(self, folder: Path) -> Observer:
        """What an earlier process wrote is written again."""
        place = folder / FOLDER
        shutil.rmtree(place, ignore_errors=True)
        return Boards(place, (folder / "request.json").stat().st_mtime)


class Boards(Observer):
    """`search` holds what the search as a whole did, `trials/<number>-<family>` each model."""

    def __init__(self, folder: Path, began: float) -> None:
        from .log import Log

        self.folder, self.began = folder, began
        self.log, self.search = Log, Log(folder / "search", began)
        self.best: float | None = None  # skill

    def hear(self, event: Mapping[str, Any]) -> None:
        """Trials, and what the sealed rows said."""
        if event["stage"] == "search":
            self._trial(event["trial"])
        elif event["stage"] == "evaluate":
            card, at = event["scorecard"], self.began + event["at"]
            for name in ("value", "low", "high", "baseline"):
                self.search.scalar(f"{card['split']}/{card['metric']} {name}", card[name], round(event["at"]), at)
        self.search.flush()

    def end(self, report: Any) -> None:
        """Nothing but the files has to be closed."""
        self.search.close()

    def _trial(self, trial: Mapping[str, Any]) -> None:
        if trial["outcome"] != "ok":
            return
        at, seconds = self.began + trial["finished"], round(trial["finished"])
        self._session(trial, at)
        if trial["rung"] < FULL:
            return
        self.search.scalar("score/each model", trial["score"], trial["number"], at)
        if self.best is None or trial["skill"] > self.best:
            self.best = trial["skill"]
            self.search.scalar("score/best so far, by second", trial["score"], seconds, at)

    def _session(self, trial: Mapping[str, Any], at: float) -> None:
        """A model's numbers, its score and how it learnt."""
        family = trial["proposal"]["family"]
        log = self.log(self.folder / "trials" / f"{trial['number']:05d}-{family}", at)
        log.hyperparameters({"family": family, "fitted": trial["rung"], **_numbers(trial)}, at)
        for step, loss in enumerate(trial["facts"].get("curve") or ()):
            if loss is not None:
                log.scalar("loss", loss, step, at)
        log.scalar("score", trial["score"], trial["number"], at)
        log.close()


def _numbers(trial: Mapping[str, Any]) -> dict[str, bool | float | str]:
    """The numbers of a config by path, as TensorBoard takes them."""
    given = grammar.given(Config.from_json(trial["proposal"]["config"]))
    return {k: v if isinstance(v, bool | int | float) else str(v) for k, v in given.items()}
