"""MLflow's own store: where it is, and one run in it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metalearner.records import digest

# Nothing is told to MLflow's makers. Read when the library is loaded.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
FOLDER, DATABASE, FILES = "mlruns", "mlflow.db", "artifacts"  # in the run's folder, where no other place is named
NOTE = "mlflow.json"  # in the run's folder: which run of MLflow's it is, and how many events that has
# Letters of a name, of a parameter and of a tag that MLflow takes.
NAME, PARAMETER, TAG = 250, 6000, 5000
# And so many parameters at once.
AT_ONCE = 100


class Store:
    """One run of MLflow's; `heard` is how many events of ours it has."""

    def __init__(self, folder: Path) -> None:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        self.request: Mapping[str, Any] = json.loads((folder / "request.json").read_text())
        self.began = (folder / "request.json").stat().st_mtime
        self._own = None if os.environ.get("MLFLOW_TRACKING_URI") else folder.absolute() / FOLDER
        uri = os.environ["MLFLOW_TRACKING_URI"] if self._own is None else f"sqlite:///{self._own / DATABASE}"
        if self._own is not None:
            self._own.mkdir(exist_ok=True)
        self._client = MlflowClient(tracking_uri=uri)
        self._note, self._where = folder / NOTE, digest(uri)  # an address may hold a password
        before = json.loads(self._note.read_text()) if self._note.exists() else {}
        known = before.get("where") == self._where
        self.heard: int = before["heard"] if known else 0
        self._run: str = before["run"] if known else self._begin(folder)
        if known:
            self._client.update_run(self._run, "RUNNING")

    def parameters(self, given: Mapping[str, Any]) -> None:
        """Settings; None and what is empty is left out."""
        self._parameters(self._run, {k: v for k, v in given.items() if v not in (None, "", [])})

    def tags(self, given: Mapping[str, Any]) -> None:
        """Words about the run."""
        for name, value in given.items():
            self._client.set_tag(self._run, _name(name), str(value)[:TAG])

    def metrics(self, given: Mapping[str, float], at: float, step: int) -> None:
        """Numbers at a second of the run."""
        if given:
            self._client.log_batch(self._run, metrics=self._metrics(given, at, step))

    def hear(self, events: int) -> None:
        """Remember that so many events are in."""
        self.heard = events
        self._note.write_text(json.dumps({"where": self._where, "run": self._run, "heard": events}))

    def model(self, name: str, numbers: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """A run below this one, once."""
        from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

        here = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self._run}' AND attributes.run_name = '{name}'"
        if self._client.search_runs([self._experiment], here, max_results=1):
            return
        made = self._client.create_run(
            self._experiment, tags={MLFLOW_PARENT_RUN_ID: self._run}, run_name=name
        ).info.run_id
        self._parameters(made, numbers)
        self._client.log_batch(made, metrics=self._metrics(metrics, 0.0, 0))
        self._client.set_terminated(made)

    def files(self, folder: Path, name: str) -> None:
        """A folder as artefacts."""
        self._client.log_artifacts(self._run, str(folder), name)

    def text(self, text: str, name: str) -> None:
        """A text as an artefact."""
        self._client.log_text(self._run, text, name)

    def close(self, finished: bool) -> None:
        """How it ended."""
        self._client.set_terminated(self._run, "FINISHED" if finished else "FAILED")

    @property
    def _experiment(self) -> str:
        return self._client.get_run(self._run).info.experiment_id

    def _begin(self, folder: Path) -> str:
        """A new run, in the experiment that is named or that of the data."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or Path(self.request["source"]).stem or "metalearner"
        found = self._client.get_experiment_by_name(name)
        place = None if self._own is None else (self._own / FILES).as_uri()
        experiment = found.experiment_id if found else self._client.create_experiment(name, artifact_location=place)
        tags = {"mlflow.source.name": "metalearner"}
        return self._client.create_run(experiment, int(self.began * 1000), tags, folder.absolute().name).info.run_id

    def _parameters(self, run: str, given: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        found = [Param(_name(k), str(v)[:PARAMETER]) for k, v in given.items()]
        for i in range(0, len(found), AT_ONCE):
            self._client.log_batch(run, params=found[i : i + AT_ONCE])

    def _metrics(self, given: Mapping[str, float], at: float, step: int) -> list[Any]:
        from mlflow.entities import Metric

        moment = int((self.began + at) * 1000)
        return [Metric(_name(k), float(v), moment, step) for k, v in given.items()]


def _name(text: str) -> str:
    """A name as MLflow allows it."""
    return re.sub(r"[^\w\-. :/]", "_", text)[:NAME]
