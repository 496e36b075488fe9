"""Growing the base and checking it: small, real, resumable."""

from __future__ import annotations

import json

import pytest

from metalearner import grow
from metalearner.errors import DataError
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
    monkeypatch.setattr(Base, "open", classmethod(lambda cls: opened(shipped=None)))


def test_the_base_grows_goes_on_and_verifies(quick_registry, own_base):
    said: list[str] = []
    grow.grow(quick_registry, 0.05, ["wine"], False, 1, said.append)
    records = Base.open().stats()["records"]
    assert records == len(quick_registry.families["linear"].presets) and not any("refused" in s for s in said)
    grow.grow(quick_registry, 0.05, ["wine"], False, 1, said.append)
    assert f"all {records} known" in said[-1] and Base.open().stats()["records"] == records
    found, passed = grow.verify(quick_registry, 2, 0)
    assert len(found) == 2 and all(r["agrees"] for r in found) and not passed


def test_what_cannot_be_run_again_is_counted_and_nothing_run_is_no_success(
    quick_registry, own_base, monkeypatch, capsys
):
    from typer.testing import CliRunner

    from metalearner.cli import app

    grow.grow(quick_registry, 0.05, ["wine"], False, 1, lambda line: None)

    def absent(*_):
        raise DataError("not here")

    monkeypatch.setattr(grow, "_again", absent)
    found, passed = grow.verify(quick_registry, 2, 0)
    presets = len(quick_registry.families["linear"].presets)
    assert not found and passed == {"data not on this machine": presets}
    ended = CliRunner().invoke(app, ["kb", "verify", "--sample", "2", "--json"])
    assert ended.exit_code == 1 and json.loads(ended.output)["passed_over"] == passed
