"""Trials in actors: what comes back, and what becomes of those that die, hang or raise."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import pytest
from metalearner_executor_ray import executor as module
from metalearner_executor_ray.executor import RayCluster
from metalearner_executor_ray.temporary import PREFIX

from metalearner.errors import RunError
from metalearner.kinds import Job, Rung
from metalearner.records import Config, Proposal

WORKERS = Path(__file__).parent / "workers"


def proposal(act="work", **numbers):
    return Proposal(Config(act, numbers), "family", "test")


def job(numbers, *proposals, seconds=60.0, resume=()):
    return Job(tuple(numbers), proposals, Rung(1.0, time.monotonic() + seconds), resume)


def collect(executor, many, seconds=40.0):
    found, until = [], time.monotonic() + seconds
    while len(found) < many and time.monotonic() < until:
        found += executor.collect(0.5)
    assert len(found) == many, f"{len(found)} of {many} trials came: {found}"
    return found


def prepared(folder):
    (folder / "trials").mkdir()
    data = folder / "data"
    (data / "sealed").mkdir(parents=True)
    (data / "fields").mkdir()
    (data / "fields" / "x.npy").write_bytes(b"x" * 100)
    (data / "sealed" / "target.npy").write_bytes(b"secret")
    (data / "dataset.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def alone():
    """A cluster of this machine, shared by the tests of one worker's ways."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(WORKERS)
        patch.setenv("PYTHONPATH", str(WORKERS))
        connection = module.Connection("", 2)
        yield connection
        connection.close()


@pytest.fixture
def begin(tmp_path, alone):
    from tempered import Tempered

    return Tempered(prepared(tmp_path), time.monotonic())


@pytest.fixture
def executor():
    made = RayCluster()
    yield made
    made.stop()


def left_behind(executor):
    return (Path(tempfile.gettempdir()) / f"{PREFIX}{executor._run}").exists()


def test_trials_come_back_with_their_files_and_on_this_machines_clock(tmp_path, alone, executor):
    from tempered import Tempered

    folder = prepared(tmp_path)
    (folder / "data" / "dataset.json").rename(folder / "waiting")
    begin = Tempered(folder, time.monotonic(), clock=5000.0)
    executor.start(begin, 9)
    assert len(executor._workers) == 2  # as many as there are CPUs
    assert executor.collect(1.0) == [] and executor.idle() == 0  # the data are on their way
    (folder / "waiting").rename(folder / "data" / "dataset.json")
    executor.submit(job((3, 4), proposal(bytes=40_000_000), proposal(seconds=0.1), seconds=50.0))
    first, second = collect(executor, 2)
    for trial in (first, second):
        file = json.loads((folder / "trials" / trial.name / "trial.json").read_text())
        assert file == json.loads(json.dumps(trial.to_json()))
        assert 0 < trial.finished < 60 and 0 < trial.facts["left"] < 50.1
    assert (folder / "trials" / "00003" / "0" / "weights").stat().st_size == 40_000_000
    assert "data/fields/x.npy" in first.facts["seen"]
    assert not [name for name in first.facts["seen"] if "sealed" in name]
    assert sorted(p.name for p in (folder / "trials").iterdir()) == ["00003", "00004"]
    executor.stop()
    assert not left_behind(executor)


@pytest.mark.parametrize(
    ("act", "outcome", "said"),
    [
        ("die", "crash", "worker died"),
        ("hang", "timeout", "after its deadline"),
        ("fail", "crash", "ArithmeticError: one too many"),
        ("hoard", "crash", "MemoryError"),
    ],
)
def test_what_was_finished_before_a_worker_failed_is_kept(act, outcome, said, begin, executor, monkeypatch, capfd):
    monkeypatch.setattr(module, "GRACE", 0.5)
    executor.start(begin, 1)
    executor.submit(job((7, 8, 9), proposal(), proposal(act), proposal(), seconds=3.0 if act == "hang" else 60.0))
    found = collect(executor, 3)
    assert [(t.number, t.outcome) for t in found] == [(7, "ok"), (8, outcome), (9, outcome)]
    assert said in found[1].error
    executor.submit(job((10,), proposal()))
    assert collect(executor, 1)[0].outcome == "ok"
    while not executor.idle():
        executor.collect(0.1)
    assert capfd.readouterr().out == ""


def test_a_full_disk_is_no_trials_fault(begin, executor):
    executor.start(begin, 1)
    executor.submit(job((0,), proposal("fill")))
    with pytest.raises(OSError, match="No space left"):
        collect(executor, 1)


def test_a_checkpoint_travels_along(begin, executor):
    executor.start(begin, 1)
    executor.submit(job((0, 1), proposal(bytes=1000), proposal(bytes=1000)))
    collect(executor, 2)
    executor.submit(job((2, 3), proposal("go_on"), proposal("go_on"), resume=("00001", "00000")))
    assert [t.outcome for t in collect(executor, 2)] == ["ok", "ok"]


def test_workers_that_cannot_start_say_why(begin, executor):
    (begin.folder / "data" / "dataset.json").write_text("{")
    executor.start(begin, 1)
    executor.submit(job((0,), proposal()))
    with pytest.raises(RunError, match="JSONDecodeError") as caught:
        collect(executor, 1)
    assert "metalearner doctor" in caught.value.hint
    executor.stop()
    assert not left_behind(executor)


def test_waiting_for_a_worker_has_an_end(begin, executor, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    (begin.folder / "data" / "dataset.json").unlink()
    executor.start(begin, 1)
    executor.submit(job((0,), proposal()))
    with pytest.raises(RunError, match="1 job waits"):
        collect(executor, 1)
