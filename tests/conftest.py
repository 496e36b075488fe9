"""What tests share: a home of their own, so that nobody's knowledge is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the longer variants too")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="longer variant, run with --slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    """METALEARNER_HOME is a fresh folder for every test."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("METALEARNER_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def registry():
    """Everything that is installed."""
    from metalearner import plugins

    return plugins.load()
