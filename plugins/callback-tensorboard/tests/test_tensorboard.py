"""Event files, read back by TensorBoard itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from metalearner_callback_tensorboard.callback import FOLDER, TensorBoard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from metalearner import testing


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("run")
    testing.check_callback(TensorBoard(), place)
    return place


def read(folder):
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def scalars(folder, tag):
    return [(s.step, pytest.approx(s.value, abs=1e-6)) for s in read(folder).Scalars(tag)]


def test_the_search_is_scores_against_seconds_and_the_sealed_test(folder):
    search = folder / FOLDER / "search"
    assert scalars(search, "score/each model") == [(0, 0.8), (2, 0.7), (3, 0.9)]
    assert scalars(search, "score/best so far, by second") == [(2, 0.8), (9, 0.9)]
    assert scalars(search, "sealed test/accuracy value") == [(20, 0.85)]
    at = [s.wall_time for s in read(search).Scalars("score/best so far, by second")]
    assert at[1] - at[0] == pytest.approx(7.5), "as far apart as they were"


def test_a_model_is_a_session_with_its_numbers_and_how_it_learnt(folder):
    trials = folder / FOLDER / "trials"
    assert [p.name for p in sorted(trials.iterdir())] == ["00000-linear", "00001-mlp", "00002-linear", "00003-mlp"]
    found = read(trials / "00003-mlp")
    assert scalars(trials / "00003-mlp", "loss") == [(0, 0.7), (1, 0.5), (3, 0.4)], "what was not finite is left out"
    (name,) = found.PluginTagToContent("hparams")
    told = plugin_data_pb2.HParamsPluginData.FromString(found.PluginTagToContent("hparams")[name])
    numbers = told.session_start_info.hparams
    assert numbers["family"].string_value == "mlp" and numbers["encoder.0:width"].number_value == 64
    assert numbers["recipe.0:flip"].bool_value is True


def test_a_run_told_of_again_is_there_once(folder):
    testing.check_callback(TensorBoard(), folder)
    assert len(list((folder / FOLDER / "search").iterdir())) == 1


def test_neither_torch_nor_tensorflow_is_needed_and_nothing_before_a_run_begins():
    code = (
        "import sys, metalearner_callback_tensorboard as plugin; callback = plugin.register_callbacks()[0];"
        "print('tensorboard' in sys.modules); import metalearner_callback_tensorboard.log;"
        "print([m for m in ('torch', 'tensorflow') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split("\n")[:2] == ["False", "[]"]


def test_files_say_nothing_of_the_machine(folder):
    import socket

    name = socket.gethostname()
    assert not [
        p for p in (folder / FOLDER).rglob("*") if name in p.name or (p.is_file() and name.encode() in p.read_bytes())
    ]
    assert json.loads((folder / "request.json").read_text())["source"] not in str(list((folder / FOLDER).rglob("*")))
