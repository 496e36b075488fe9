from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """Features and added backbones lie in a folder of the test's own."""
    monkeypatch.setenv("METALEARNER_HOME", str(tmp_path / "home"))
    from metalearner_level2_transfer import reading

    reading._stores.clear()
    reading._states.clear()
    return tmp_path / "home"


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    import tiny

    return tiny.bert(tmp_path_factory.mktemp("models") / "tiny-bert")
