"""Callbacks beside a run: they hear everything, and whatever they do the run is none the worse."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest

from metalearner import events, plugins
from metalearner.errors import PluginError
from metalearner.events import Story
from metalearner.follow import follow
from metalearner.observers import FOLDER, Observers
from metalearner.report.account import Account
from metalearner.request import Request, parse_budget
from metalearner.run import run
from metalearner.testing import check_callback
from metalearner.testing.callbacks import EVENTS, PAGE

PLUGIN = """
import json, time
from metalearner.hookspecs import hookimpl
from metalearner.kinds import Callback, Observer

class Diary(Observer):
    def __init__(self, folder):
        self.file = folder / "diary.jsonl"
        self.file.write_text("")
    def hear(self, event):
        with self.file.open("a") as out:
            out.write(json.dumps(event) + "\\n")
    def end(self, report):
        with self.file.open("a") as out:
            out.write(json.dumps({"stage": "end", "report": len(report())}) + "\\n")

class Keeper(Callback):
    name = "diary"
    def begin(self, folder):
        return Diary(folder)

class Broken(Callback):
    name = "broken"
    def begin(self, folder):
        raise OSError("no such server")

class Slow(Callback):
    name = "slow"
    def begin(self, folder):
        time.sleep(60)

@hookimpl
def register_callbacks():
    return [Keeper(), Broken(), Slow()]

@hookimpl
def run_finished(run):
    raise KeyError("tracker")
"""


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """What is installed, and three callbacks that the processes beside a run find, too."""
    place = tmp_path / "plugins"
    place.mkdir()
    (place / "diary.py").write_text(PLUGIN)
    monkeypatch.setenv("METALEARNER_PLUGIN_PATH", str(place))
    return plugins.load()


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    return pd.DataFrame(x, columns=list("abc")).assign(y=np.where(x[:, 0] > 0, "yes", "no"))


def request(table, folder, *callbacks):
    return Request(
        table,
        budget=parse_budget("2trials"),
        out=folder,
        workers=1,
        cold=True,
        families=("linear", "trees"),
        callbacks=callbacks,
    )


def until(holds):
    end = time.monotonic() + 30
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    assert holds()


def test_a_run_is_heard_whole_and_a_callback_that_breaks_is_told_once(table, tmp_path, registry):
    heard = []
    done = run(request(table, tmp_path / "run", "diary", "broken"), registry, heard.append)
    assert done.scorecard.value > 0.7
    (broken,) = [e for e in heard if e["stage"] == "callback" and e["name"] == "broken"]
    assert broken["problem"] == "OSError: no such server"
    assert "KeyError: 'tracker'" in [e["problem"] for e in heard if e["stage"] == "callback"], (
        "nor does a hook end a run"
    )
    assert "Traceback" in (tmp_path / "run" / FOLDER / "broken.txt").read_text(), "the whole story is kept"
    diary = tmp_path / "run" / "diary.jsonl"
    until(lambda: '"end"' in diary.read_text())
    told = events.read(diary)
    written = events.read(tmp_path / "run" / "events.jsonl")
    assert told[:-1] == written[: len(told) - 1] and told[-2]["done"] is True
    assert told[-1]["report"] > 10_000, "the report of the finished run"
    assert Account.open(tmp_path / "run").reproduce().count("--callback") == 2


def test_a_slow_callback_is_waited_for_a_moment_and_left_to_itself(tmp_path, registry):
    watching = Observers(["slow"], tmp_path)
    began = time.monotonic()
    assert [name for name, _ in watching.close(0.3)] == ["slow"] and time.monotonic() - began < 2
    watching._processes["slow"].kill()


def test_a_callback_that_nobody_brings_is_refused_before_anything_is_made(table, tmp_path, registry):
    with pytest.raises(PluginError, match="Did you mean 'diary'"):
        run(request(table, tmp_path / "run", "dairy"), registry)
    assert not (tmp_path / "run").exists()


def test_without_callbacks_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    watching = Observers((), tmp_path)
    assert list(watching.failed()) == list(watching.close(1.0)) == [] and not list(tmp_path.iterdir())


def test_events_are_followed_as_they_are_written_and_a_half_written_one_is_waited_for(tmp_path):
    file = tmp_path / "events.jsonl"
    going = [True]
    heard = []
    listener = threading.Thread(target=lambda: heard.extend(events.follow(file, lambda: going[0])))
    listener.start()
    story = Story(file)
    story.tell("formulate")
    with file.open("a") as out:
        out.write('{"stage": "pre')
        out.flush()
        time.sleep(2 * events.PAUSE)
        out.write('pare"}\n')
    going[0] = False
    listener.join(10)
    assert [e["stage"] for e in heard] == ["formulate", "prepare"] and not listener.is_alive()


def test_what_a_killed_run_left_of_a_line_is_cut(tmp_path):
    file = tmp_path / "events.jsonl"
    Story(file).tell("formulate")
    with file.open("a") as out:
        out.write('{"stage": "pre')
    Story(file).tell("prepare")
    assert [e["stage"] for e in events.read(file)] == ["formulate", "prepare"]
    assert [e["stage"] for e in events.follow(file, lambda: False)] == ["formulate", "prepare"]


def test_following_ends_with_the_event_that_says_so_or_with_the_owner_of_the_run(tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps({"stage": s, "done": s == "b"}) + "\n" for s in "abc"))
    assert [e["stage"] for e in events.follow(file, lambda: True)] == ["a", "b"]
    assert list(events.follow(tmp_path / "none.jsonl", lambda: False)) == []


def test_a_run_that_is_cut_off_lets_its_callbacks_end(tmp_path, registry):
    check_callback(registry.callbacks["diary"], tmp_path)
    (tmp_path / "events.jsonl").write_text(json.dumps(EVENTS[0]) + "\n")
    with (tmp_path / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        watching = Observers(["diary"], tmp_path)
        until(
            lambda: (
                "formulate" in (tmp_path / "diary.jsonl").read_text()
                and "deploy" not in (tmp_path / "diary.jsonl").read_text()
            )
        )
    until(lambda: all(p.poll() is not None for p in watching._processes.values()))
    assert list(watching.failed()) == []
    assert '"end"' in (tmp_path / "diary.jsonl").read_text()


def test_the_command_tells_a_finished_run_again(tmp_path, registry):
    check_callback(registry.callbacks["diary"], tmp_path)
    (tmp_path / "diary.jsonl").write_text("")
    command = [sys.executable, "-m", "metalearner", "follow", str(tmp_path), "diary"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert len((tmp_path / "diary.jsonl").read_text().splitlines()) == len(EVENTS), (
        "all but what came after the end, and the end"
    )


def test_the_suite_for_callbacks_finds_one_that_meddles(tmp_path, registry):
    kind = type(registry.callbacks["diary"])
    observer = type(kind().begin(tmp_path))

    class Meddler(kind):
        name = "meddler"

        def begin(self, folder):
            (folder / "request.json").write_text("{}")
            return super().begin(folder)

    class Writer(observer):
        def hear(self, event):
            event["stage"] = "mine"

    class Scribbler(kind):
        name = "scribbler"

        def begin(self, folder):
            return Writer(folder)

    with pytest.raises(AssertionError, match="meddler changes what belongs to the run"):
        check_callback(Meddler(), tmp_path)
    with pytest.raises(AssertionError, match="scribbler changes the event 'formulate'"):
        check_callback(Scribbler(), tmp_path)
    assert PAGE.startswith("<!doctype html>")


def test_follow_refuses_what_is_no_run(tmp_path, registry):
    from metalearner.errors import UserError

    with pytest.raises(UserError, match="not the folder of a run"):
        follow(tmp_path, registry.callbacks["diary"], registry)
