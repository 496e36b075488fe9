from __future__ import annotations

import sys
from pathlib import Path

import pytest
from metalearner_level0_custom_ops import library

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def compiled():
    """The library; the instruction set is again the best afterwards."""
    found = library.kernels()
    if found is None:
        pytest.skip(library.about()[1])
    yield found
    found.signs_choose(len(library.SETS))


@pytest.fixture
def without_kernels(monkeypatch):
    """As where nothing was compiled."""
    monkeypatch.setattr(library, "kernels", lambda: None)


@pytest.fixture(scope="session")
def registry():
    """Everything that is installed."""
    from metalearner import plugins

    return plugins.load()
