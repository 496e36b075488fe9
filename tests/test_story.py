"""The whole pipeline on small real data: run, predict, evaluate, serve, monitor, resume, and a stranger's plugin."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metalearner
from metalearner import plugins

ROOT = Path(__file__).parent.parent
STRANGERS = Path(__file__).parent / "strangers"
METALEARNER = [sys.executable, "-m", "metalearner"]
PENGUINS = ROOT / "datasets" / "penguins" / "penguins.csv"


def command(*arguments, **keywords):
    found = subprocess.run(
        [*METALEARNER, *map(str, arguments)], capture_output=True, text=True, check=False, **keywords
    )
    assert found.returncode == 0, found.stderr
    return found


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """One run on the penguins, as `--json` prints it."""
    folder = tmp_path_factory.mktemp("story")
    os.environ["METALEARNER_HOME"] = str(folder / "home")
    out = command(
        "run",
        PENGUINS,
        "tell the sex of a penguin",
        "--budget",
        "8trials",
        "--out",
        folder / "run",
        "--json",
        "--blind",
    )
    return folder / "run", json.loads(out.stdout), out.stderr


def test_the_result_has_what_programs_need(story):
    folder, found, _ = story
    assert {"task", "winner", "score", "leaderboard", "neighbours", "forecast", "seconds", "bundle"} <= set(found)
    assert found["task"]["target"] == "sex" and found["task"]["output"] == "classification"
    assert found["score"]["low"] <= found["score"]["value"] <= found["score"]["high"]
    assert found["score"]["value"] > found["score"]["baseline"] + 0.2
    heaviest = max(found["leaderboard"], key=lambda t: t["weight"])
    assert heaviest["weight"] > 0 and found["winner"]["config"] == heaviest["config"], (
        "the winner is in what is deployed"
    )
    assert found["winner"]["family"] == heaviest["family"]
    assert len(found["leaderboard"]) == 8
    assert found["bundle"] == str(folder / "bundle")


def test_progress_tells_the_story_stage_by_stage(story):
    _, _, progress = story
    at = [
        progress.index(stage)
        for stage in ("1 formulate", "2 prepare", "3 propose", "4 search", "evaluate", "5 deploy", "learned")
    ]
    assert at == sorted(at)


def test_a_fresh_process_predicts_what_the_model_did(story, tmp_path):
    folder, _, _ = story
    rows = pd.read_csv(PENGUINS).head(40)
    shuffled = rows[list(rows.columns)[::-1]].assign(extra=1).drop(columns="sex")
    shuffled.loc[0, "island"] = "an island nobody has seen"
    shuffled.to_csv(tmp_path / "rows.csv", index=False)
    command("predict", folder / "bundle", tmp_path / "rows.csv", "--out", tmp_path / "preds.csv")
    predicted = pd.read_csv(tmp_path / "preds.csv")
    assert list(predicted.columns[:1]) == ["prediction"] and {c for c in predicted if c.startswith("p_")} == {
        "p_female",
        "p_male",
    }
    assert np.allclose(predicted[["p_female", "p_male"]].sum(axis=1), 1)
    here = metalearner.open_bundle(folder / "bundle").predict(tmp_path / "rows.csv")
    assert np.abs(here["p_male"] - predicted["p_male"]).max() < 1e-6


def test_the_bundle_equals_the_models_as_they_were_trained(story):
    """Sealed rows through the trial folders' own checkpoints and through the bundle."""
    from metalearner.arrays import Fields
    from metalearner.dataset import Dataset
    from metalearner.predictor import Member, Predictor
    from metalearner.setting import Setting

    folder, _, _ = story
    registry = plugins.load()
    bundle = metalearner.open_bundle(folder / "bundle")
    setting = Setting(Dataset.open(folder / "data"), registry)
    packed = bundle.predictor
    members = []
    for m in packed.members:
        learner = registry.learners[m.config.production]
        models = tuple(
            learner.load(folder / "trials" / m.trial / str(i), setting.aim) for i in range(len(setting.dataset.folds))
        )
        members.append(Member(m.trial, m.family, m.config, m.weight, models))
    states = tuple(
        setting.transform.fit(setting.dataset.fields.take(t), setting.dataset.schema) for t, _ in setting.dataset.folds
    )
    trained = Predictor(packed.task, packed.schema, setting.modality, setting.transform, setting.output,
                        setting.dataset.state, states, tuple(members), packed.calibration)  # fmt: skip
    rows = Fields.open(folder / "data" / "sealed" / "fields")
    assert np.abs(trained.predict(rows) - packed.predict(rows)).max() <= 1e-5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.drop(columns="island"), "island"),
        (lambda rows: rows.rename(columns={"island": "Island"}), "island"),
    ],
)
def test_rows_with_a_column_missing_name_it(story, tmp_path, change, said):
    folder, _, _ = story
    change(pd.read_csv(PENGUINS)).to_csv(tmp_path / "rows.csv", index=False)
    found = subprocess.run([*METALEARNER, "predict", str(folder / "bundle"), str(tmp_path / "rows.csv"), "--out",
                            str(tmp_path / "o.csv")], capture_output=True, text=True, check=False)  # fmt: skip
    assert found.returncode == 2 and said in found.stderr and not (tmp_path / "o.csv").exists()


def test_evaluate_and_monitor_read_labelled_rows(story):
    folder, _, _ = story
    scored = json.loads(command("evaluate", folder / "bundle", PENGUINS, "--json").stdout)
    assert scored["metric"] == "accuracy" and scored["value"] > 0.8
    assert scored["coverage"]["promised"] == 0.9 and 0.7 < scored["coverage"]["share"] <= 1
    report = json.loads(command("monitor", folder / "bundle", PENGUINS, "--json").stdout)
    assert report["verdict"] == "no shift found" and report["coverage"] == scored["coverage"]


def test_monitor_sees_a_shift(story, tmp_path):
    folder, _, _ = story
    rows = pd.read_csv(PENGUINS)
    rows["body_mass_g"] += 2 * rows["body_mass_g"].std()
    rows.to_csv(tmp_path / "heavy.csv", index=False)
    report = json.loads(command("monitor", folder / "bundle", tmp_path / "heavy.csv", "--json").stdout)
    assert report["verdict"] == "shift"
    assert any("body_mass_g" in json.dumps(s) for s in report["shifts"] if s["shifted"])


def test_every_run_adds_its_records(story):
    from metalearner.knowledge import Base

    folder, _, _ = story
    base = Base.open(home=folder.parent / "home", shipped=None)
    assert base.stats()["records"] == 8


def test_python_says_the_same_in_three_lines(tmp_path):
    frame = pd.read_csv(PENGUINS)
    run = metalearner.fit(frame, "tell the body_mass_g", budget="3trials", out=tmp_path / "run", cold=True, test="none")
    assert run.task.target == "body_mass_g" and run.task.metric == "r2"
    assert run.scorecard.split == "out of fold" and run.scorecard.value > 0.6
    assert len(run.leaderboard()) == 3
    assert len(run.bundle.predict(frame.drop(columns="body_mass_g"))) == len(frame)


def test_a_killed_run_is_resumed_and_loses_nothing(tmp_path):
    out = tmp_path / "run"
    options = ["--budget", "12trials", "--out", str(out), "--cold", "--quiet"]
    started = [*METALEARNER, "run", str(PENGUINS), "tell the sex", *options]
    process = subprocess.Popen(started, stdout=subprocess.DEVNULL, start_new_session=True)
    trials = out / "trials"
    while len(list(trials.glob("0*")) if trials.exists() else []) < 3:
        time.sleep(0.05)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {t.name: (t / "trial.json").read_text() for t in trials.glob("0*")}
    found = json.loads(command("resume", out, "--json").stdout)
    assert len(found["leaderboard"]) == 12
    after = {t.name: (t / "trial.json").read_text() for t in trials.glob("0*")}
    assert before.items() <= after.items() and len(after) == 12
    ended = {name: json.loads(trial)["finished"] for name, trial in after.items()}
    assert max(ended[name] for name in before) < min(ended[name] for name in after.keys() - before), "of all processes"
    again = subprocess.run([*METALEARNER, "resume", str(out)], capture_output=True, text=True, check=False)
    assert again.returncode == 2 and "finished" in again.stderr


def test_a_stranger_adds_a_modality_a_block_and_an_output(tmp_path, monkeypatch):
    monkeypatch.setenv("METALEARNER_PLUGIN_PATH", str(STRANGERS))
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(200):
        size = int(rng.integers(3, 12))
        lines.append(f"{size // 3} " + " ".join(f"{v:.3f}" for v in rng.normal(size=2 * size)))
    source = tmp_path / "clouds.points"
    source.write_text("\n".join(lines))
    found = json.loads(
        command("run", source, "which grade?", "--budget", "3trials", "--out", tmp_path / "run", "--json").stdout
    )
    assert found["task"]["modality"] == "points" and found["task"]["output"] == "grade"
    assert "cloud" in {t["family"] for t in found["leaderboard"]}
    assert found["score"]["value"] > 0.3
    events = map(json.loads, (tmp_path / "run" / "events.jsonl").read_text().splitlines())
    learned = next(e for e in events if e["stage"] == "learned")
    assert learned["records"] >= 3 and not learned["refused"]
    command("predict", tmp_path / "run" / "bundle", source, "--out", tmp_path / "p.csv")
    assert set(pd.read_csv(tmp_path / "p.csv")["prediction"]) <= {0.0, 1.0, 2.0, 3.0, 4.0}


def test_the_strangers_plugin_is_short():
    source = (STRANGERS / "points.py").read_text().splitlines()
    assert (
        len([line for line in source if line.strip() and not line.strip().startswith(("#", '"""', "import", "from"))])
        < 100
    )
