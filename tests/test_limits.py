"""What a task allows to be deployed: said, kept by trials, by the ensemble and by the bundle."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from metalearner import plugins
from metalearner.errors import TaskError
from metalearner.records import Limits, Task
from metalearner.report.text import limit_lines
from metalearner.request import Request, parse_budget
from metalearner.run import run
from metalearner.setting import Setting
from metalearner.task import Wish
from metalearner.task.limits import limits
from metalearner.train.ensemble import Cost, _afforded


@pytest.mark.parametrize(
    ("size", "latency", "sentence", "found"),
    [
        ("200kB", None, "", Limits(200_000)),
        (None, "1ms", "", Limits(None, 1e-3)),
        ("1 MiB", "50us", "", Limits(2**20, 5e-5)),
        (None, None, "which species is it? under 1 MB, within 5 ms", Limits(1_000_000, 5e-3)),
        (None, None, "at most 300 kB please", Limits(300_000)),
        (None, None, "faster than 2 milliseconds", Limits(None, 2e-3)),
        ("100kB", None, "under 1 MB", Limits(100_000)),
        (None, None, "patients under 30 days, within 5 s of arrival", Limits()),
    ],
)
def test_limits_are_read(size, latency, sentence, found):
    said = limits(size, latency, sentence)
    assert said.size == found.size and said.latency == pytest.approx(found.latency)
    assert said.given == (size is not None or latency is not None or found != Limits())


@pytest.mark.parametrize("bad", ["many", "0kB", "-3MB", "5 parsecs", "1ms"])
def test_what_is_no_size_is_refused(bad):
    with pytest.raises(TaskError, match="--max-size"):
        limits(bad, None, "")


def test_a_task_keeps_its_limits_as_json():
    task = Task("", "tabular", "y", "classification", "accuracy", limits=Limits(5, 0.1))
    assert Task.from_json(task.to_json()) == task
    old = {k: v for k, v in task.to_json().items() if k != "limits"}
    assert Task.from_json(old).limits == Limits()


def test_what_exceeds_a_limit_is_said_with_both_numbers():
    assert Limits(1000, 1e-3).exceeded(2000, 0.0) == "Too large for 1 kB: it takes 2 kB."
    assert "2 ms" in Limits(1000, 1e-3).exceeded(10, 2e-3)
    assert Limits(1000, 1e-3).allow(1000, 1e-3) and Limits().allow(1e12, 1e3)


def test_members_and_folds_that_there_is_no_room_for_are_left_out():
    trials = [
        SimpleNamespace(name=n, facts={"bytes": size, "alone": 1e-4})
        for n, size in (("a", 60e3), ("b", 50e3), ("c", 30e3))
    ]
    cost = Cost(limits=Limits(100_000))
    kept = _afforded(np.array([0.5, 0.2, 0.3]), trials, cost)
    np.testing.assert_allclose(kept, [0.625, 0, 0.375])
    assert cost.models([trials[2]], 5) == 3 and cost.models([trials[0]], 5) == 1
    assert Cost(limits=Limits(None, 5e-4)).models([trials[0]], 5) == 3  # the row takes time beside its models
    assert Cost().models(trials, 5) == 5


def test_families_are_told_of_limits_and_a_name_is_enough():
    asked = []

    def evidence(numbers):
        asked.append(dict(numbers))
        return ()

    family = SimpleNamespace(evidence=evidence, presets=(), name="small")
    task = Task("", "image", "y", "classification", "accuracy", limits=Limits(5))
    setting = Setting(SimpleNamespace(task=task), None)
    setting.__dict__["_fitting"] = {"small": family}
    assert setting.called_for(SimpleNamespace(numbers={"size.rows": 3.0})) == {}
    assert asked == [{"size.rows": 3.0, "limit.bytes": 5.0, "limit.seconds": None}]


def test_a_run_with_limits_keeps_them_and_measures_it(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    table = pd.DataFrame(x, columns=list("abcd")).assign(y=np.where(x[:, 0] + x[:, 1] ** 2 > 0.5, "yes", "no"))
    wish = Wish("under 30 kB", max_latency="50ms")
    request = Request(table, wish, parse_budget("6trials"), tmp_path / "run", workers=1, cold=True)
    done = run(request, plugins.load())
    assert done.task.limits == Limits(30_000, 0.05)
    size = sum(f.stat().st_size for f in (tmp_path / "run" / "bundle" / "members").rglob("*") if f.is_file())
    assert done.limits["size"]["taken"] == size <= 30_000 and done.limits["size"]["kept"]
    assert 0 < done.limits["latency"]["taken"] <= 0.05
    pruned = [t for t in done.trials if t.outcome == "pruned" and t.error.startswith("Too large for 30 kB")]
    full = [t for t in done.trials if t.outcome == "ok"]
    assert pruned and full and all(t.facts["bytes"] <= 30_000 for t in full)
    assert limit_lines(done.limits)[0].endswith("of at most 30 kB: kept")
    assert replace(done, limits={}).to_json()["limits"] == {}
