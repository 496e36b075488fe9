"""What the end of a run needs is imported beside it."""

from __future__ import annotations

import time

import pytest

from metalearner import warm


def test_a_first_model_that_takes_long_does_not_put_off_the_end(monkeypatch):
    monkeypatch.setattr(warm, "_import", lambda: None)
    begun = warm.Warm()
    begun.begin_after(0.05)
    assert not begun.ready
    deadline = time.monotonic() + 10
    while not begun.ready and time.monotonic() < deadline:
        time.sleep(0.01)
    assert begun.ready


def test_nothing_is_imported_after_a_run_that_failed(monkeypatch):
    monkeypatch.setattr(warm, "_import", lambda: None)
    with pytest.raises(ValueError), warm.Warm() as begun:
        begun.begin_after(0.2)
        raise ValueError
    time.sleep(0.5)
    assert not begun.ready
