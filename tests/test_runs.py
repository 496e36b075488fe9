"""Folders of runs: nothing in them is half-written, and only what could not be begun is removed."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from metalearner import runs
from metalearner.arrays import Fields
from metalearner.data import Sealed
from metalearner.errors import BundleError, RunError
from metalearner.outputs import Regression
from metalearner.request import Request
from metalearner.steps.finish import measure


def test_a_write_that_is_cut_off_leaves_what_was_there(tmp_path, monkeypatch):
    file = tmp_path / "request.json"
    runs.write(file, {"seed": 1})
    written, whole = file.stat().st_mtime_ns, Path.write_text

    def half(self, text):
        whole(self, text[: len(text) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    for name, told in (("request.json", {"seed": 2}), ("run.json", {})):
        with pytest.raises(OSError, match="No space"):
            runs.write(tmp_path / name, told)
    assert json.loads(file.read_text()) == {"seed": 1} and not (tmp_path / "run.json").exists()
    runs.write(file, {"seed": 1})  # a resumed run: the date says when it was begun
    assert file.stat().st_mtime_ns == written


@pytest.mark.parametrize("tried", [False, True])
def test_an_error_of_the_user_s_removes_a_run_only_while_nothing_was_tried(tmp_path, tried):
    with pytest.raises(BundleError), runs.owned(Request("x.csv", out=tmp_path / "run"), "x") as folder:
        if tried:
            (folder / "trials" / "00000").mkdir()
        raise BundleError("The bundle is in the way.")
    assert (tmp_path / "run" / "trials" / "00000").exists() == (tmp_path / "run").exists() == tried


def test_the_seal_is_opened_once_and_again_only_by_a_run_that_found_it_opened(tmp_path, monkeypatch):
    monkeypatch.setattr("metalearner.steps.finish.held_out", lambda *of: SimpleNamespace(save=lambda file: None))
    x, output = np.arange(6.0), Regression()
    sealed = Sealed.close(tmp_path / "sealed", Fields({"x": x}), x)
    setting = SimpleNamespace(output=output, dataset=SimpleNamespace(state={}, target=x))
    predictor = SimpleNamespace(predict=lambda fields: np.asarray(fields["x"])[:, None])
    ensemble = SimpleNamespace(predictor=predictor)
    assert measure(ensemble, sealed, setting, tmp_path, again=False)[0].split == "sealed test"
    with pytest.raises(RunError, match="opened before"):
        measure(ensemble, sealed, setting, tmp_path, again=False)
    assert len(measure(ensemble, sealed, setting, tmp_path, again=True)[0].target) == 6
