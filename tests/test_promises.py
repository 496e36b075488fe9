"""What a run promises: killed at any instant it loses nothing, an interrupt ends it soon, a full disk is said."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parent.parent
PENGUINS = ROOT / "datasets" / "penguins" / "penguins.csv"
METALEARNER = [sys.executable, "-m", "metalearner"]
KILLS = 30  # about two minutes


def start(*arguments):
    """A command in a session of its own, so that it can be killed with all its workers."""
    command = [*METALEARNER, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def written(run):
    """Every finished trial's own words, by name."""
    folder = run / "trials"
    return {t.name: (t / "trial.json").read_text() for t in folder.glob("0*")} if folder.exists() else {}


def kill_something(process, rng):
    """The parent with all its workers, or one worker alone."""
    if rng.random() < 0.3:
        workers = [
            c for c in psutil.Process(process.pid).children(recursive=True) if "spawn_main" in " ".join(c.cmdline())
        ]
        if workers:
            rng.choice(workers).kill()
            time.sleep(rng.random())
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_run_killed_again_and_again_loses_nothing_and_doubles_nothing(tmp_path):
    rng, run = random.Random(0), tmp_path / "run"
    begun = ["run", PENGUINS, "tell the sex", "--budget", "40trials", "--out", run, "--cold", "--quiet"]
    kept: dict[str, str] = {}
    kills = 0
    while kills < KILLS and not (run / "run.json").exists():
        process = start(*(["resume", run, "--quiet"] if (run / "data" / "dataset.json").exists() else begun))
        until = time.monotonic() + rng.uniform(0.3, 6.0)
        while time.monotonic() < until and process.poll() is None:
            time.sleep(0.02)
        if process.poll() is not None:
            assert process.returncode == 0, process.stderr.read()
            break
        kill_something(process, rng)
        kills += 1
        now = written(run)
        assert kept.items() <= now.items(), "a finished trial is gone, or another one"
        kept = now
        if not (run / "data" / "dataset.json").exists():
            shutil.rmtree(run)
    assert kills >= 10
    if not (run / "run.json").exists():
        subprocess.run([*METALEARNER, "resume", str(run), "--quiet"], check=True)
    trials = written(run)
    assert kept.items() <= trials.items()
    configs = Counter(json.dumps(json.loads(t)["proposal"]["config"], sort_keys=True) for t in trials.values())
    assert max(configs.values()) == 1, "no trial is run twice"
    board = json.loads((run / "run.json").read_text())["leaderboard"]
    assert sorted(t["trial"] for t in board) == sorted(int(name) for name in trials), "the leaderboard is the trials"
    scores = {int(name): json.loads(t)["score"] for name, t in trials.items()}
    assert {t["trial"]: t["score"] for t in board} == pytest.approx(scores, abs=1e-12)
    assert not list((run / "trials").glob(".*")), "nothing half-written is left"


def test_the_first_interrupt_ends_a_run_within_seconds_with_what_there_is(tmp_path):
    run = tmp_path / "run"
    process = start("run", PENGUINS, "tell the sex", "--budget", "5m", "--out", run, "--cold", "--quiet")
    while not written(run):
        time.sleep(0.05)
        assert process.poll() is None
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    process.wait(30)
    assert process.returncode == 130, process.stderr.read()
    assert time.monotonic() - asked < 10  # five on an idle machine, benchmarks/throughput.py; here others run beside it
    assert (run / "bundle" / "manifest.json").exists() and json.loads((run / "run.json").read_text())["interrupted"]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of three megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only an administrator may mount a small disk")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_said_and_what_is_finished_is_kept(small_disk):
    run = small_disk / "run"
    process = start("run", PENGUINS, "tell the sex", "--budget", "200trials", "--out", run, "--cold", "--quiet")
    said = process.communicate(timeout=240)[1]
    assert process.returncode == 1, said
    assert "is full" in said and "metalearner resume" in said and "Traceback" not in said
    trials = written(run)
    assert trials and all(json.loads(t)["outcome"] for t in trials.values())
    subprocess.run(["mount", "-o", "remount,size=300m", small_disk], check=True)
    request = json.loads((run / "request.json").read_text()) if (run / "request.json").stat().st_size else None
    assert request, "what was asked is still known"
    request["budget"]["trials"] = len(trials) + 2
    (run / "request.json").write_text(json.dumps(request))
    subprocess.run([*METALEARNER, "resume", str(run), "--quiet"], check=True)
    assert trials.items() <= written(run).items()


def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path):
    place = Path("/proc/nowhere") if os.getuid() == 0 else tmp_path / "locked"
    if os.getuid():
        place.mkdir(mode=0o500)
    process = start("run", PENGUINS, "tell the sex", "--budget", "5trials", "--out", place / "run")
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 2 and "cannot be written" in said and "--out" in said
