"""What the tests of the project and those of its plugins share."""

from __future__ import annotations

import pytest


def pytest_addoption(parser):
    """--slow."""
    parser.addoption("--slow", action="store_true", help="run the longer variants too")


def pytest_collection_modifyitems(config, items):
    """Without it the longer ones are skipped."""
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="longer variant, run with --slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)
