"""Networks as C: what plain cc makes of them says what torch says."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from metalearner_level0_custom_ops.assembling import from_onnx
from metalearner_level0_custom_ops.c_target import C, source
from networks import exported, feed, predicted

from metalearner import testing
from metalearner.errors import UserError
from metalearner.kinds import Network
from metalearner.records import Axis, Config, View

IMAGE = {"v": View((Axis("space", 12), Axis("space", 12)), 2)}
TABLE = {"t": View((Axis("columns", 5),), 1, (3, 4))}
NETS = {
    "binary": ("binary-resnet", {"width": 16, "depth": 1, "stages": 2}, IMAGE),
    "convolutions": ("resnet", {"width": 8}, IMAGE),
    "attention": ("ft-transformer", {}, TABLE),
}


def net_of(name: str, registry, seed: int = 0):
    """The views, a network and its ONNX."""
    encoder, numbers, views = NETS[name]
    config = Config("net", {}, {"encoder": (Config(encoder, numbers),), "recipe": (Config("gradient"),)})
    return views, *exported(config, views, 4, registry.productions, seed)


def said_by_c(text: str, rows: np.ndarray, folder) -> np.ndarray:
    """Compile the file as its head says, and ask it."""
    (folder / "model.c").write_text(text)
    cc = ["cc", "-O2", "-std=c99", "-Wall", "-Wextra", "-Werror", "-DMODEL_MAIN", "model.c", "-lm", "-o", "model"]
    subprocess.run(cc, cwd=folder, check=True, timeout=120)
    done = subprocess.run([folder / "model"], input=rows.tobytes(), capture_output=True, check=True, timeout=120)
    return np.array([line.split() for line in done.stdout.decode().splitlines()], float)


needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@needs_cc
@pytest.mark.parametrize("name", NETS)
def test_c_gives_the_same_classes_on_a_thousand_rows(name, registry, tmp_path):
    views, net, content = net_of(name, registry)
    program = from_onnx(content)
    inputs = [testing.random_inputs(view, 1000, 1) for view in views.values()]
    given = feed(views, inputs)
    rows = np.concatenate([given[i.name].reshape(1000, -1).astype(np.float32) for i in program.inputs], axis=1)
    found, wanted = said_by_c(source([(1.0, 0, program)], "model"), rows, tmp_path), predicted(net, inputs)
    assert found.shape == (1000, 4) and np.abs(found - wanted).max() < 1e-5
    assert np.array_equal(found.argmax(1), wanted.argmax(1))


@needs_cc
def test_several_networks_are_averaged_each_behind_its_own_transform(registry, tmp_path):
    views, one, first = net_of("binary", registry)
    _, two, second = net_of("convolutions", registry, 1)
    inputs = [testing.random_inputs(IMAGE["v"], 40, seed) for seed in (1, 2)]
    parts = [(0.25, 0, from_onnx(first)), (0.75, 1, from_onnx(second))]
    rows = np.concatenate([feed(views, [given])["v.values"].reshape(40, -1) for given in inputs], axis=1)
    text = source(parts, "model")
    assert "in0_v_values: 288 numbers, transform 0" in text and "in1_v_values: 288 numbers, transform 1" in text
    wanted = 0.25 * predicted(one, inputs[:1]) + 0.75 * predicted(two, inputs[1:])
    assert np.abs(said_by_c(text, rows, tmp_path) - wanted).max() < 1e-5


def test_what_is_no_network_and_what_programs_cannot_do_is_refused(registry, tmp_path):
    with pytest.raises(UserError, match="no network"):
        C().write([Network(1.0, tmp_path / "0", "", None)], "model")
    config = Config("net", {}, {"encoder": (Config("recurrent"),), "recipe": (Config("gradient"),)})
    content = exported(config, {"v": View((Axis("time", 12),), 1)}, 4, registry.productions)[1]
    with pytest.raises(UserError, match="programs have no step for") as caught:
        C().write([Network(1.0, tmp_path / "0", "", content)], "model")
    assert caught.value.holds and caught.value.hint
