"""Growing the base and checking it: small, real, resumable."""

from __future__ import annotations

import json

import pytest

from metalearner.errors import DataError
from metalearner.kb import course, grow, prepared, verify
from metalearner.knowledge import Base


@pytest.fixture
def quick_registry(registry):
    """All there is, with linear models as the only family."""
    from dataclasses import replace

    return replace(registry, families={"linear": registry.families["linear"]})


@pytest.fixture
def own_base(monkeypatch):
    """Only the records this test makes."""
    opened = Base.open
    monkeypatch.setattr(Base, "open", classmethod(lambda cls, **given: opened(shipped=None, **given)))


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Less than a base is grown with."""
    monkeypatch.setattr(course, "ADAPTIVE", 3)
    monkeypatch.setattr(course, "TWICE", 2)


def test_the_base_grows_goes_on_and_verifies(quick_registry, own_base):
    said: list[str] = []
    presets = len(quick_registry.families["linear"].presets)
    grow.grow(quick_registry, 0.05, ["wine"], False, 1, said.append)
    records = Base.open().stats()["records"]
    assert records == presets + 3 + 2 and not any("refused" in s for s in said)
    grow.grow(quick_registry, 0.05, ["wine"], False, 1, said.append)
    assert f"all {records} known" in said[-1] and Base.open().stats()["records"] == records
    card = next(iter(Base.open().cards().values()))
    seeds = [e.seed for e in Base.open().experiences(card.id)]
    assert seeds.count(0) == presets + 3 and seeds.count(1) == 2
    found, passed = verify.verify(quick_registry, 2, 0)
    assert len(found) == 2 and all(r["agrees"] for r in found) and set(passed) <= {"cut by its deadline"}


def test_growing_stops_in_time_and_what_was_tried_is_not_tried_again(quick_registry, own_base, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(course, "ADAPTIVE", 0)
    grow.grow(quick_registry, 6 / 3600, ["wine"], False, 1, said.append)
    before = Base.open().stats()["records"]
    grow.grow(quick_registry, 0.05, ["wine"], False, 1, said.append)
    records = [line for line in said if line.startswith("wine ") and "known" not in line]
    presets = len(quick_registry.families["linear"].presets)
    assert before <= presets + 2 == len(records) == Base.open().stats()["records"]


def test_unknown_groups_come_first_and_made_data_last(own_base):
    names = ["made-parity-0", "wine", "digits", "made-parity-1", "penguins"]
    assert grow.order(Base.open(), names) == ["digits", "penguins", "wine", "made-parity-0", "made-parity-1"]


def test_large_data_are_cut_down_and_held_out_rows_are_enough(registry, tmp_path):
    setting = prepared.prepared("spambase", registry, tmp_path / "spambase")
    held = [len(valid) for _, valid in setting.dataset.folds]
    assert setting.dataset.card.rows == prepared.ROWS and sum(held[:-1]) < prepared.TELLING <= sum(held)
    assert len(setting.dataset.open(tmp_path / "spambase" / "data").folds) == len(setting.dataset.folds)
    assert prepared.LEAST < prepared.seconds(setting) < 2 * prepared.LEAST


def test_what_cannot_be_run_again_is_counted_and_nothing_run_is_no_success(
    quick_registry, own_base, monkeypatch, capsys
):
    from typer.testing import CliRunner

    from metalearner.cli import app

    grow.grow(quick_registry, 0.05, ["wine"], False, 1, lambda line: None)

    def absent(*_):
        raise DataError("not here")

    monkeypatch.setattr(verify, "_again", absent)
    found, passed = verify.verify(quick_registry, 2, 0)
    assert not found and passed["data not on this machine"] > 0
    assert sum(passed.values()) == Base.open().stats()["records"]
    ended = CliRunner().invoke(app, ["kb", "verify", "--sample", "2", "--json"])
    assert ended.exit_code == 1 and json.loads(ended.output)["passed_over"] == passed
