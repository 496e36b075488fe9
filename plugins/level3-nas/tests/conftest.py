"""The made-up task that all tests here share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def land():
    """The module `landscape.py`, which lies beside this file."""
    spec = importlib.util.spec_from_file_location("landscape", Path(__file__).parent / "landscape.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["landscape"] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module
