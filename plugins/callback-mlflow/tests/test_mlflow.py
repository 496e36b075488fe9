"""Runs of MLflow's, read back by MLflow itself. Its database takes seconds to make: one is for all tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from metalearner_callback_mlflow.callback import MLflow
from metalearner_callback_mlflow.store import DATABASE, FOLDER, NOTE, QUIET

from metalearner import testing
from metalearner.testing.callbacks import EVENTS, PAGE


@pytest.fixture(scope="module")
def environment():
    """No store and no experiment is named."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
            patch.delenv(name, raising=False)
        yield patch


@pytest.fixture(scope="module")
def folder(tmp_path_factory, environment):
    place = tmp_path_factory.mktemp("flowers-0fea")
    testing.check_callback(MLflow(), place)
    return place


@pytest.fixture(scope="module")
def client(folder):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{folder / FOLDER / DATABASE}")


def runs(client, name="flowers"):
    """The runs of an experiment, those at the top and those below."""
    found = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    below = [r for r in found if "mlflow.parentRunId" in r.data.tags]
    return [r for r in found if r not in below], below


def test_a_run_is_one_run_with_what_was_asked_measured_and_said(folder, client):
    (run,), _ = runs(client)
    assert run.info.status == "FINISHED" and run.info.run_name == folder.name
    assert (
        run.data.params.items()
        >= {"budget.seconds": "25.0", "target": "kind", "task.metric": "accuracy", "data.rows": "100"}.items()
    )
    assert not {"families", "task.goal", "source"} & set(run.data.params), "what is empty or a place is left out"
    measured = {
        "accuracy": 0.85,
        "accuracy.baseline": 0.3,
        "f1": 0.8,
        "forecast.value": 0.8,
        "out_of_fold": 0.92,
        "tried": 5.0,
    }
    assert run.data.metrics.items() >= measured.items()
    assert "auc" not in run.data.metrics, "what could not be measured is left out"
    assert run.data.tags["sentence"] == "which flower is it?" and run.data.tags["measured on"] == "sealed test"


def test_metrics_have_a_history_and_a_resumed_run_has_it_once(client):
    (run,), _ = runs(client)
    history = {name: client.get_metric_history(run.info.run_id, name) for name in ("score", "best", "tried")}
    assert [(m.step, m.value) for m in history["score"]] == [(2, 0.8), (4, 0.7), (9, 0.9)]
    assert [(m.step, m.value) for m in history["best"]] == [(2, 0.8), (9, 0.9)]
    assert len(history["tried"]) == 5
    assert history["best"][1].timestamp - history["best"][0].timestamp == pytest.approx(7500, abs=2)


def test_bundle_and_report_are_its_artefacts(folder, client):
    (run,), _ = runs(client)
    assert {a.path for a in client.list_artifacts(run.info.run_id)} == {"bundle", "report.html"}
    (report,) = (folder / FOLDER).rglob("report.html")
    assert report.read_text() == PAGE


def test_models_that_were_kept_are_runs_below_it(client):
    (run,), below = runs(client)
    assert {r.info.run_name: r.data.metrics["weight"] for r in below} == {"mlp #3": 0.75, "linear #0": 0.25}
    assert {r.data.tags["mlflow.parentRunId"] for r in below} == {run.info.run_id}
    network = next(r for r in below if r.info.run_name == "mlp #3")
    assert network.data.params == {
        "family": "mlp",
        "encoder.0:width": "64",
        "recipe.0:lr": "0.01",
        "recipe.0:flip": "True",
    }


def test_a_store_may_hold_many_runs_and_one_that_was_cut_off_has_failed(folder, client, environment, tmp_path):
    """Last of those that read what there is: it adds to it."""
    other = tmp_path / "other"
    other.mkdir()
    for name in ("request.json", "events.jsonl"):
        shutil.copy(folder / name, other / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / FOLDER / DATABASE}")
        patch.setenv("MLFLOW_EXPERIMENT_NAME", "all of them")
        patch.chdir(tmp_path)
        observer = MLflow().begin(other)
        observer.hear(EVENTS[0])
        observer.end(lambda: PAGE)
    (run,), below = runs(client, "all of them")
    assert (run.info.run_name, run.info.status, below) == ("other", "FAILED", [])
    assert not (other / FOLDER).exists()
    assert len(runs(client)[0]) == 1
    note = (other / NOTE).read_text()
    assert json.loads(note)["heard"] == 1 and str(folder) not in note, "an address may hold a password"


def test_the_library_is_loaded_when_a_run_begins_and_tells_its_makers_nothing(folder, tmp_path):
    (tmp_path / "request.json").write_text((folder / "request.json").read_text())
    code = (
        "import sys; from pathlib import Path; from metalearner_callback_mlflow import register_callbacks;"
        "callback = register_callbacks()[0]; print('mlflow' in sys.modules); callback.begin(Path(sys.argv[1]));"
        "from mlflow.telemetry.utils import is_telemetry_disabled as quiet; print(quiet(), 'torch' in sys.modules)"
    )
    # Nothing that would switch it off by itself: MLflow takes care not to count tests.
    clean = {k: v for k, v in os.environ.items() if k not in {*QUIET, "CI", "PYTEST_CURRENT_TEST", "PYTEST_VERSION"}}
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / FOLDER / DATABASE}"}
    said = subprocess.check_output(
        [sys.executable, "-c", code, str(tmp_path)], text=True, env=clean | store, stderr=subprocess.DEVNULL
    )
    assert said.split() == ["False", "True", "False"]
