"""The binary convolution as an operation of torch: its shapes, its gradient, what it costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metalearner_level0_custom_ops import library, ops
from metalearner_level0_custom_ops.modules import BinaryConv1d, BinaryConv2d, BinaryLinear
from metalearner_level0_custom_ops.productions import PRODUCTIONS
from random_signs import drawn

from metalearner import grammar
from metalearner.grammar.cost import cost, multiply_adds
from metalearner.records import Axis, Config, View
from metalearner.testing import check_operation

ARGUMENTS = ([1, 1], [1, 1], [1, 1], 1)


def arguments(rng):
    """x, weight, stride, padding, dilation, groups."""
    case = drawn(rng)
    how = case.how
    # A grid of halves about 0, so that what is a sign and what is none stays so whatever is added to it.
    x = torch.from_numpy(np.round(np.nan_to_num(case.x, posinf=1, neginf=-1) * 2) / 2)
    return x, torch.from_numpy(case.weight), list(how.stride), list(how.pad), list(how.dilation), how.groups


def plainly(x, weight, *how):
    return ops.plain_convolution(ops.sign(x), ops.sign(weight), *how)


def straight_through(x, weight, *how):
    """Signs as plain numbers, with the gradient of plain numbers."""
    through = [v + (ops.sign(v) - v).detach() for v in (x, weight)]
    return ops.plain_convolution(*through, *how)


def test_it_is_an_operation_like_torchs_own():
    check_operation(ops.binary_convolution, arguments, plainly, straight_through)


def test_so_it_is_without_kernels(without_kernels):
    check_operation(ops.binary_convolution, arguments, plainly, straight_through, rounds=6)


REFUSED = {
    "doubles": (torch.zeros(1, 4, 4, 2, dtype=torch.float64), torch.zeros(3, 3, 3, 2), "float32"),
    "whole numbers": (torch.zeros(1, 4, 4, 2, dtype=torch.int64), torch.zeros(3, 3, 3, 2), "float32"),
    "channels": (torch.zeros(1, 4, 4, 3), torch.zeros(3, 3, 3, 2), "groups"),
    "three axes": (torch.zeros(4, 4, 2), torch.zeros(3, 3, 3, 2), "groups"),
    "a kernel too large": (torch.zeros(1, 4, 4, 2), torch.zeros(3, 9, 9, 2), "does not fit"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_cannot_be_is_refused_with_and_without_numbers(name, device):
    x, weight, said = REFUSED[name]
    with pytest.raises(ValueError, match=said):
        ops.binary_convolution(x.to(device), weight.to(device), *ARGUMENTS)


def test_signs_have_the_gradient_of_a_parabola():
    x = torch.linspace(-2, 2, 101, requires_grad=True)
    out = ops.StraightThrough.apply(x)
    assert set(out.tolist()) == {-1.0, 1.0}
    out.sum().backward()
    assert torch.allclose(x.grad, (2 - 2 * x.detach().abs()).clamp(min=0))
    bend = torch.where(x >= 0, 2 * x - x**2, 2 * x + x**2)  # its derivative within 1, Bi-Real Net's
    (slope,) = torch.autograd.grad(bend.sum(), x)
    inside = x.detach().abs() < 1
    assert torch.allclose(x.grad[inside], slope[inside])


@pytest.mark.parametrize("scaling", ["mean", "learned", "none"])
def test_layers_learn_as_their_plain_twins_do(scaling):
    torch.manual_seed(0)
    layers = [(BinaryConv2d(5, 7, (3, 2), scaling=scaling), (4, 6, 8, 5)), (BinaryConv1d(5, 7, 3, 2, scaling=scaling), (4, 9, 5)),
              (BinaryConv2d(6, 4, (3, 3), (1, 2), dilation=(2, 1), groups=2, scaling=scaling), (4, 7, 7, 6)),
              (BinaryLinear(5, 7, scaling=scaling), (4, 3, 5))]  # fmt: skip
    for layer, shape in layers:
        x = torch.randn(shape, requires_grad=True)
        layer.train()(x).square().sum().backward()
        mine = [x.grad.clone(), layer.weight.grad.clone()]
        x.grad = layer.weight.grad = None
        image = (
            x.reshape(-1, 1, 1, shape[-1]) if isinstance(layer, BinaryLinear) else x.unsqueeze(1) if x.dim() == 3 else x
        )
        signs = ops.StraightThrough.apply(image)
        out = straight_through(signs, layer.weight, *layer.shape)
        scales = layer.scales()
        (out if scales is None else out * scales).square().sum().backward()
        for found, wanted in zip(mine, (x.grad, layer.weight.grad)):
            assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_layers_are_equal_in_training_and_not():
    torch.manual_seed(1)
    for layer, shape in (
        (BinaryConv2d(70, 9), (2, 5, 5, 70)),
        (BinaryConv1d(3, 4), (2, 8, 3)),
        (BinaryLinear(65, 9), (2, 4, 65)),
    ):
        x = torch.randn(shape)
        assert torch.equal(layer.train()(x), layer.eval()(x))


KNOWN = {p.name: p for p in PRODUCTIONS}


def test_its_work_is_counted_on_no_device_and_on_one(registry):
    view = View((Axis("space", 12), Axis("space", 12)), 3)
    encoder = Config("binary-resnet", {"width": 16, "depth": 1, "stages": 2})
    config = grammar.complete(
        Config("net", {}, {"encoder": (encoder,), "recipe": (Config("gradient"),)}), registry.productions
    )
    found = cost(config, {"v": view}, 5, registry.productions)
    # The stem; a block of 144 places; one that halves them and doubles the channels; the head. Signs at an eighth.
    stem, block, down, head = 144 * 9 * 3 * 16, 144 * 9 * 16 * 16, 36 * 9 * 16 * 32, 32 * 5
    assert found.multiply_adds >= stem + (block + down) // ops.CHEAPER + head
    assert found.multiply_adds < (stem + block + down + head) / 2
    signs = 9 * 16 * 16 + 9 * 16 * 32
    assert found.bytes < 4 * (found.parameters - signs) + signs // 8 + 64
    layer = BinaryConv2d(64, 32).eval()
    assert multiply_adds(layer, torch.zeros(2, 5, 5, 64)) == 2 * 25 * 9 * 64 * 32 // ops.CHEAPER


def test_doctor_says_what_the_kernels_run_on(monkeypatch):
    from metalearner import doctor

    assert (library.about()[0], False, f"level0-kernels: {library.about()[1]}") in doctor._plugins()
    monkeypatch.setattr(library, "_opened", lambda: (None, "was not compiled"))
    assert (False, False, "level0-kernels: NumPy: the library was not compiled") in doctor._plugins()
