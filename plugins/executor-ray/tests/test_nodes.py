"""A cluster of two nodes on this machine, one of which is removed while trials run on it."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import pytest
from metalearner_executor_ray import executor as module
from metalearner_executor_ray.executor import RayCluster

from metalearner.kinds import Job, Rung
from metalearner.records import Config, Proposal

WORKERS = Path(__file__).parent / "workers"
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}
PENGUINS = Path(__file__).parents[3] / "datasets" / "penguins" / "penguins.csv"


@pytest.fixture(scope="module")
def cluster():
    """A head with one CPU, to which the driver belongs; a second node is the test's to add and to remove."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        patch.setenv("RAY_TMPDIR", folder)  # short: sockets lie in it
        for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ENABLE_UV_RUN_RUNTIME_ENV"):
            patch.setenv(name, "0")
        patch.setenv("PYTHONPATH", str(WORKERS))
        patch.syspath_prepend(WORKERS)
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        yield made
        made.shutdown()


def prepared(folder):
    (folder / "trials").mkdir()
    (folder / "data").mkdir()
    (folder / "data" / "dataset.json").write_text("{}")
    return folder


def work(number, seconds):
    return Job((number,), (Proposal(Config("work", {"seconds": seconds}), "family", "test"),), Rung())


def node_of(executor, number):
    return next(w.node for w in executor._workers if number in w.missing)


def until(executor, condition, found=None, seconds=60.0):
    found, end = [] if found is None else found, time.monotonic() + seconds
    while not condition(found):
        assert time.monotonic() < end, f"{found}"
        found += executor.collect(0.2)
    return found


def test_what_a_node_was_doing_is_begun_again_elsewhere(cluster, tmp_path, monkeypatch, capfd):
    from tempered import Tempered

    second = cluster.add_node(**NODE)
    executor = RayCluster()
    executor.start(Tempered(prepared(tmp_path), time.monotonic()), 2, cluster.address)
    try:
        until(executor, lambda _: executor.idle() == 2)
        here = executor._ray.get_runtime_context().get_node_id()
        pair = Job(
            (0, 1), tuple(Proposal(Config("work", {"seconds": s}), "family", "test") for s in (0.1, 3.0)), Rung()
        )
        for job in (pair, Job((2, 3), pair.proposals, Rung())):
            executor.submit(job)
        found = until(executor, lambda found: len(found) == 2)  # the first of each pair
        there = next(w for w in executor._workers if w.node != here)
        (lost,) = there.missing
        cluster.remove_node(second)
        found = until(executor, lambda found: len(found) == 4, found)
        assert sorted((t.number, t.outcome) for t in found) == [(n, "ok") for n in range(4)]
        assert executor._lost == {lost: 1}
        assert sorted(p.name for p in (tmp_path / "trials").iterdir()) == [f"{n:05d}" for n in range(4)]

        cluster.add_node(**NODE)  # what joins is put to use
        until(executor, lambda _: executor.idle() == 2)
        monkeypatch.setattr(module, "AGAIN", 0)
        executor.submit(work(4, 3.0))
        executor.submit(work(5, 3.0))
        number = next(n for n in (4, 5) if node_of(executor, n) != here)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        outcomes = {t.number: t.outcome for t in until(executor, lambda found: len(found) == 2)}
        assert outcomes.pop(number) == "crash" and list(outcomes.values()) == ["ok"]
    finally:
        executor.stop()
    assert capfd.readouterr().out == ""


def test_a_run_loses_a_node_and_no_trial(cluster, tmp_path, monkeypatch):
    from metalearner import plugins
    from metalearner.deploy import Bundle
    from metalearner.request import Request
    from metalearner.run import run
    from metalearner.search import Budget
    from metalearner.task import Wish

    monkeypatch.setenv("METALEARNER_HOME", str(tmp_path / "home"))
    registry = plugins.load()
    second = cluster.add_node(**NODE)
    executor = registry.get("executors", "ray")
    removed = []

    def listen(event):
        if event["stage"] == "propose":  # however slow this machine is: both nodes take part
            executor._ray.wait([w.awaits for w in executor._workers], num_returns=2, timeout=60.0)
        here = executor._ray.get_runtime_context().get_node_id() if event["stage"] == "search" else ""
        if here and not removed and any(w.missing and w.node != here for w in executor._workers):
            cluster.remove_node(second)
            removed.append(event["trial"]["number"])

    wish, budget, out = Wish("tell the sex of a penguin"), Budget(None, 6), tmp_path / "run"
    request = Request(str(PENGUINS), wish, budget, out, blind=True, executor="ray", address=cluster.address)
    done = run(request, registry, listen)

    assert removed and sum(executor._lost.values()), "the node was removed while it was busy"
    assert sorted(t.number for t in done.trials) == list(range(6))
    assert not [t.error for t in done.trials if "worker" in t.error or "node" in t.error]
    kept = {t.name: t.to_json() for t in done.trials}
    assert sorted(p.name for p in (out / "trials").iterdir()) == sorted(kept)
    for name, trial in kept.items():
        assert json.loads((out / "trials" / name / "trial.json").read_text()) == json.loads(json.dumps(trial))
        assert 0 < trial["finished"] < done.seconds
    assert done.scorecard.value > done.scorecard.baseline + 0.2
    assert len(Bundle.open(out / "bundle", registry).predict(str(PENGUINS))) == 344
