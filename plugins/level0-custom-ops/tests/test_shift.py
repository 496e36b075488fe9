"""The worked example: a layer that shifts. What OWN_OPERATION.md tells to test, and what it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from metalearner_level0_custom_ops import library, shift
from metalearner_level0_custom_ops.shift import products
from metalearner_level0_custom_ops.shift.layer import ShiftDense, grid, powers, shift_linear
from networks import AIM, exported, tensors_of

from metalearner import grammar, plugins
from metalearner.grammar.cost import multiply_adds
from metalearner.records import Axis, Config, View
from metalearner.testing import check_operation, check_production

GUIDE = Path(__file__).parent.parent / "OWN_OPERATION.md"


def arguments(rng):
    """x, weight: of any size, about the borders of the grid and between powers of two."""
    n, inputs, outputs = (int(rng.integers(1, top)) for top in (9, 70, 20))
    x = rng.normal(size=(n, inputs)) * rng.choice([0.01, 1.0, 60.0])
    weight = rng.normal(size=(outputs, inputs)) * rng.choice([1e-5, 0.1, 2.0])
    return torch.tensor(x, dtype=torch.float32), torch.tensor(weight, dtype=torch.float32)


def by_numpy(x, weight):
    """In float64, where these sums are exact."""
    sums = products.whole(x.numpy()).astype(np.float64) @ powers(weight).double().numpy().T
    return (sums * 2.0**products.LEAST).astype(np.float32) * np.float32(1 / (products.FINE << products.LEAST))


def straight_through(x, weight):
    cut = x.clamp(-128, 128)
    through = [cut + (grid(x) - cut).detach(), weight + (powers(weight) - weight).detach()]
    return through[0] @ through[1].T


def test_shifts():
    check_operation(shift_linear, arguments, by_numpy, straight_through)


def test_shifts_without_kernels(without_kernels):
    check_operation(shift_linear, arguments, by_numpy, straight_through, rounds=8)


def test_codes_are_the_nearest_powers():
    weight = np.array(
        [0, 1, -1, 0.7, 0.71, 3, 2.0**-14, 0.7 * 2**-14, 0.71 * 2**-14, -(2.0**-20), np.nan, np.inf], np.float32
    )
    assert products.codes(weight).tolist() == [0, 15, -15, 14, 15, 15, 1, 0, 1, 0, 0, 0]
    assert powers(torch.from_numpy(weight)).tolist() == [0, 1, -1, 0.5, 1, 1, 2**-14, 0, 2**-14, 0, 0, 0]
    many = np.random.default_rng(0).normal(size=100_000).astype(np.float32) * np.float32(0.01)
    coded = products.codes(many)
    meant = np.where(coded == 0, 0, np.sign(coded) * 2.0 ** (np.abs(coded.astype(int)) - 15))
    assert np.array_equal(powers(torch.from_numpy(many)).numpy(), meant)


@pytest.mark.parametrize(
    ("x", "weight"),
    [
        (torch.zeros(2, 3), torch.zeros(4, 5)),
        (torch.zeros(3), torch.zeros(4, 3)),
        (torch.zeros(2, 3).double(), torch.zeros(4, 3)),
        (torch.zeros(2, 3), torch.zeros(4, 3).half()),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_does_not_fit_is_refused(x, weight, device):
    with pytest.raises(ValueError, match=r"inputs|two axes"):
        shift_linear(x.to(device), weight.to(device))


def test_sums_are_exact_where_they_are_longest():
    x = np.full((1, 1 << 16), 127.99609375, np.float32)
    found = products.multiply(x, np.ones((1, 1 << 16), np.float32))
    assert found.tolist() == [[127.99609375 * (1 << 16)]]


VIEWS = [View((), 9), View((Axis("time", 7, ragged=True),), 9), View((Axis("space", 4), Axis("space", 5)), 3)]


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_it_is_a_mixer_like_others(view):
    check_production(shift.ShiftDense(), view)


def test_a_network_with_it_is_found_exported_and_counted():
    registry = plugins.load(extra=[shift])
    assert "shift-dense" in registry.productions
    block = Config("plain", {}, {"norm": (Config("batch-norm"),), "mixer": (Config("shift-dense"),)})
    stack = {
        "tokeniser": (Config("flatten", {"width": 16}),),
        "stage": (Config("stage", {}, {"block": (block,)}),),
        "pool": (Config("mean"),),
    }
    encoder = Config("stack", {}, stack)
    config = Config("net", {}, {"encoder": (encoder,), "recipe": (Config("gradient"),)})
    views = {"v": View((Axis("columns", 8),), 1)}
    assert grammar.check(config, registry.productions) == []
    net, content = exported(config, views, 3, registry.productions)
    x = np.random.default_rng(0).normal(size=(50, 8, 1)).astype(np.float32)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run(None, {"v.values": x})[0]
    with torch.inference_mode():
        wanted = AIM.output.graph(None, net([tensors_of(x)])).mean(1).numpy()
    assert np.abs(found - wanted).max() < 1e-5
    layer = ShiftDense(View((), 16))
    assert multiply_adds(lambda x: layer(x, None), torch.zeros(3, 16)) == 3 * 16 * 16


def test_the_guide_shows_files_as_they_are():
    """Each block that names a file is in it, word for word."""
    text = GUIDE.read_text()
    shown = re.findall(r"^`([\w/.]+)`[^\n]*\n\n```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(shown) >= 6
    for name, block in shown:
        source = (GUIDE.parent / name).read_text()
        for part in re.split(r"^\s*(?://|#) \.\.\.\n", block, flags=re.MULTILINE):
            assert part.strip("\n") in source, f"{name}:\n{part}"


def test_the_kernel_is_listed_with_its_types():
    assert "shift_multiply" in library.FUNCTIONS
