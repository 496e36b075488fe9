"""What other programs are given to read, read back by them; and that they listen on this machine alone."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from types import MappingProxyType

import optuna
import pytest
import sqlite_utils
from optuna.storages.journal import JournalFileBackend, JournalStorage

from metalearner.account import Account
from metalearner.errors import UserError
from metalearner.kinds import Callback, Observer
from metalearner.testing import check_callback
from metalearner.viewers import launch, study, tables
from metalearner.viewers.launch import VIEWERS, command


class Deaf(Callback, Observer):
    """A callback that keeps nothing: the run that the suite makes is what is wanted."""

    name = "deaf"

    def begin(self, folder):
        return self

    def hear(self, event):
        pass


@pytest.fixture
def folder(tmp_path):
    """A run of three linear models, one of which failed, and a network that was gone on with."""
    check_callback(Deaf(), tmp_path)
    return tmp_path


@pytest.fixture
def everything_there(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)


def opened(folder, registry):
    file = study.write(Account.open(folder), registry)
    return optuna.load_study(study_name=folder.name, storage=JournalStorage(JournalFileBackend(str(file))))


def test_optuna_reads_the_trials_with_numbers_values_and_states(folder, registry):
    found = opened(folder, registry)
    assert found.direction.name == "MAXIMIZE"
    assert [t.state.name for t in found.trials] == ["COMPLETE", "COMPLETE", "COMPLETE", "FAIL"]
    assert [t.value for t in found.trials] == [0.8, 0.9, 0.7, None]
    network = found.best_trial
    assert network.params == {
        "family": "mlp",
        "encoder.0:mlp.width": 64,
        "recipe.0:gradient.lr": 0.01,
        "recipe.0:gradient.flip": True,
    }
    assert network.intermediate_values == {30: 0.95, 100: 0.9}, "a part of a fit is no score of a whole one"
    assert network.user_attrs["share of the model"] == 0.75 and found.trials[3].user_attrs["why"] == "it broke"
    assert (network.datetime_complete - found.trials[0].datetime_complete).total_seconds() == pytest.approx(7.5)
    rate = network.distributions["recipe.0:gradient.lr"]
    within = registry.productions["gradient"].space()["lr"]
    assert (rate.low, rate.high, rate.log) == (within.low, within.high, within.log)


def test_values_outside_of_their_range_make_it_wider_and_unknown_productions_are_words(folder, registry):
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    for event in lines:
        if event["stage"] == "search" and event["trial"]["number"] == 0:
            event["trial"]["proposal"]["config"]["numbers"] = {"penalty": 1e6, "expansion": "none"}
        if event["stage"] == "search" and event["trial"]["number"] == 2:
            event["trial"]["proposal"]["config"] = {"production": "of-no-plugin", "numbers": {"size": 3}, "parts": {}}
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in lines))
    found = opened(folder, registry)
    assert found.trials[0].distributions["linear.penalty"].high == 1e6
    assert found.trials[2].params["of-no-plugin.size"] == 3


def test_what_was_fitted_in_part_alone_is_pruned(folder, registry):
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    kept = [e for e in lines if e["stage"] != "search" or e["trial"]["number"] != 3]
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in kept))
    part = opened(folder, registry).trials[1]
    assert (part.state.name, part.intermediate_values, part.params["family"]) == ("PRUNED", {30: 0.95}, "mlp")


def test_a_run_without_trials_has_nothing_for_optuna(folder, registry):
    (folder / "events.jsonl").write_text("")
    with pytest.raises(UserError, match="Nothing was tried"):
        study.write(Account.open(folder), registry)


def test_sqlite_has_the_run_its_trials_and_what_is_known_of_them(folder, registry):
    db = sqlite_utils.Database(tables.write(Account.open(folder), registry))
    (row,) = db["run"].rows
    assert (row["target"], row["value"], row["state"]) == ("kind", 0.85, "cut off")
    board = list(db["leaderboard"].rows)
    assert [(r["number"], r["share"]) for r in board] == [(3, 0.75), (0, 0.25), (2, 0.0), (1, 0.0)], (
        "parts after whole fits"
    )
    mean = "SELECT avg(value) AS mean FROM numbers WHERE number = 'penalty'"
    assert next(db.query(mean))["mean"] == pytest.approx(0.3), "numbers are numbers"
    assert {r["value"] for r in db["numbers"].rows_where("number = 'expansion'")} == {"none"}
    assert [r["value"] for r in db["curves"].rows_where("trial = 3")] == [0.7, 0.5, None, 0.4]
    assert [r["name"] for r in db["neighbours"].rows] == ["iris"]
    assert {"formulate", "propose", "train"} <= {r["stage"] for r in db["decisions"].rows}
    assert db["numbers"].foreign_keys[0].other_table == "trials"


def test_the_copy_of_the_knowledge_base_is_whole_and_of_one_file(own_home):
    from metalearner.knowledge import Base

    file = tables.knowledge()
    with Base.open() as base:
        held = base.stats()["records"]
    assert sqlite_utils.Database(file)["experiences"].count == held > 0
    assert [f.name for f in own_home.glob("*knowledge-copy*")] == [file.name]


def test_tensorboard_gets_the_files_of_its_callback_from_any_run(folder, registry, everything_there):
    class Boards(Deaf):
        def begin(self, folder):
            (folder / "tensorboard").mkdir(exist_ok=True)
            self.folder = folder
            return self

        def hear(self, event):
            (self.folder / "tensorboard" / event["stage"]).touch()

    registry = replace(registry, callbacks=MappingProxyType({"tensorboard": Boards()}))
    words, _ = command("tensorboard", folder, 0, registry)
    assert words[words.index("--logdir") + 1] == str(folder / "tensorboard")
    assert (folder / "tensorboard" / "learned").exists()
    with pytest.raises(UserError, match="callback 'tensorboard' is not installed"):
        command("tensorboard", folder, 0, replace(registry, callbacks=MappingProxyType({})))


@pytest.mark.parametrize(("on", "begun"), [([], [["tensorboard"]]), (["tensorboard"], [])])
def test_of_a_run_that_goes_on_the_files_are_written_as_it_does(on, begun, folder, registry, monkeypatch):
    from metalearner.viewers import boards

    request = json.loads((folder / "request.json").read_text()) | {"callbacks": on}
    (folder / "request.json").write_text(json.dumps(request))
    found = []
    monkeypatch.setattr(boards, "Observers", lambda names, folder: found.append(names))
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        boards.write(Account.open(folder), registry)
    assert found == begun


@pytest.mark.parametrize("name", ["optuna", "datasette"])
def test_programs_are_told_to_listen_on_this_machine_alone(name, folder, registry, everything_there):
    words, port = command(name, folder, 0, registry)
    assert words[0] == sys.executable and "127.0.0.1" in words and str(port) in words
    assert not [w for w in words if "0.0.0.0" in w]
    assert name != "datasette" or words[words.index("--immutable") + 1] == str(folder / "run.db")


@pytest.mark.parametrize("name", VIEWERS)
def test_a_program_that_is_absent_is_named_with_how_to_get_it(name, folder, registry, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"{name} is not installed.") as problem:
        command(name, folder, None, registry)
    assert problem.value.hint.startswith("pip install") and problem.value.holds


def test_a_run_has_to_be_named_and_a_port_to_be_free(folder, registry, everything_there):
    with pytest.raises(UserError, match="No run was named"):
        command("optuna", None, None, registry)
    with pytest.raises(UserError, match="not the folder of a run"):
        command("optuna", folder / "bundle", None, registry)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"Port {port} cannot be listened on"):
            command("datasette", folder, port, registry)
        assert launch._port(port, None) not in (0, port), "a free one where the usual one is taken"


@pytest.mark.parametrize(("name", "page"), [("datasette", "run/leaderboard.json"), ("optuna", "api/studies")])
def test_a_program_starts_shows_the_run_and_ends_with_an_interrupt(name, page, folder):
    pytest.importorskip(VIEWERS[name].module)
    words = [sys.executable, "-m", "metalearner", "open", name, str(folder), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
            body = fetched(address + page)
            assert ("linear" if name == "datasette" else folder.name) in body
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()


def fetched(address):
    """What a server says, once it has started."""
    end = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
