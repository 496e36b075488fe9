"""What tests share: a home of their own, so that nobody's knowledge is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
collect_ignore = ["browser"]  # a visitor to the app and a command, no tests


@pytest.fixture(scope="module")
def home_of_all(tmp_path_factory):
    """One home for a module marked `one_home`: to build a knowledge base anew takes longer than most of its tests."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def own_home(request, tmp_path_factory, monkeypatch):
    """METALEARNER_HOME is a fresh folder for every test, or that of the module."""
    shared = request.node.get_closest_marker("one_home")
    home = request.getfixturevalue("home_of_all") if shared else tmp_path_factory.mktemp("home")
    monkeypatch.setenv("METALEARNER_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def registry():
    """Everything that is installed."""
    from metalearner import plugins

    return plugins.load()


@pytest.fixture(scope="session")
def experience():
    """Makes a record of a full fit that went well: (card, config, family, skill)."""
    from metalearner.records import Experience

    def made(of, config, family, skill):
        return Experience(
            dataset=of.id, data_hash=of.data_hash, task={"output": "classification", "metric": "accuracy"}, config=config,
            family=family, seed=0, rung=1.0, outcome="ok", metric="accuracy", score=float(skill), baseline=0.0,
            skill=float(skill), seconds=1.0, facts={"folds": 1},
        )  # fmt: skip

    return made
