"""Products of signs to the last bit: every instruction set, NumPy, and torch's convolution of +1 and -1."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import torch
from metalearner_level0_custom_ops import library, signs, slowly
from metalearner_level0_custom_ops.signs import Convolution, Then
from random_signs import SETS, becomes, bits, drawn, ones
from torch.nn import functional

SHAPES, PARTS = 2000, 8


def by_torch(case) -> np.ndarray:
    """Whole numbers (n, height', width', outputs)."""
    how, (down, across) = case.how, case.how.pad
    x = torch.from_numpy(ones(case.x, 0.0 if case.threshold is None else case.threshold)).permute(0, 3, 1, 2)
    padded = functional.pad(x, (across, across, down, down), value=-1.0)
    weight = torch.from_numpy(ones(case.weight)).permute(0, 3, 1, 2)
    out = functional.conv2d(padded, weight, None, how.stride, 0, how.dilation, how.groups)
    return out.permute(0, 2, 3, 1).numpy().astype(np.int32)


@pytest.mark.parametrize("part", range(PARTS))
def test_random_shapes_are_exact(part, compiled):
    rng = np.random.default_rng(part)
    for _ in range(SHAPES // PARTS):
        case = drawn(rng)
        whole = by_torch(case)
        sinks = [(None, whole), (case.scaled, becomes(whole, case.scaled)), (case.onward, becomes(whole, case.onward))]
        for level in SETS:
            compiled.signs_choose(level)
            x, panels = case.packed()
            for then, wanted in sinks:
                found = signs.convolve(x, panels, case.how, then, threads=1 + level % 2)
                assert found.dtype == wanted.dtype and np.array_equal(found, wanted), (library.SETS[level], case.how)


def test_numpy_is_exact_too(without_kernels):
    rng = np.random.default_rng(99)
    for _ in range(200):
        case = drawn(rng)
        whole, (x, panels) = by_torch(case), case.packed()
        for then in (None, case.scaled, case.onward):
            found, wanted = signs.convolve(x, panels, case.how, then), whole if then is None else becomes(whole, then)
            assert found.dtype == wanted.dtype and np.array_equal(found, wanted), case.how


@pytest.mark.parametrize("level", SETS)
def test_bits_and_products_of_rows(level, compiled):
    compiled.signs_choose(level)
    rng = np.random.default_rng(level)
    for _ in range(150):
        n, length, outputs = (int(rng.integers(1, top)) for top in (40, 700, 90))
        a, b = (rng.normal(size=(rows, length)).astype(np.float32) for rows in (n, outputs))
        threshold = rng.choice([0.0, 0.3, np.nan, np.inf], length).astype(np.float32)
        packed = signs.pack(a, threshold)[:, 0]
        assert np.array_equal(packed, bits(a >= threshold)), "bits"
        laid = signs.panels(signs.pack(b)[:, 0])
        assert np.array_equal(signs.rows_of(laid, outputs), signs.pack(b)[:, 0])
        wanted = (ones(a, threshold) @ ones(b).T).astype(np.int32)
        assert np.array_equal(signs.multiply(packed, laid, outputs, length), wanted)
        assert np.array_equal(slowly.products(packed, signs.pack(b)[:, 0], length), wanted)


@pytest.mark.parametrize("then", ["whole", "scaled", "bits"])
def test_threads_share_the_work(then, compiled):
    """Large enough that there are two of them, and rows that are no whole number of tiles."""
    rng = np.random.default_rng(0)
    outputs, length = 131, 1000
    how = {
        "whole": None,
        "scaled": Then(rng.normal(size=outputs), rng.normal(size=outputs)),
        "bits": Then(least=rng.integers(-9, 9, outputs)),
    }[then]
    a = signs.pack(rng.normal(size=(8003, length)))[:, 0]
    laid = signs.panels(signs.pack(rng.normal(size=(outputs, length)))[:, 0])
    one, two, many = (signs.multiply(a, laid, outputs, length, how, threads=n) for n in (1, 2, 7))
    assert np.array_equal(one, two) and np.array_equal(one, many)
    x = signs.pack(rng.normal(size=(9, 31, 29, 200)))
    conv = Convolution(200, outputs, (3, 3), pad=(1, 1))
    laid = signs.panels(signs.pack(rng.normal(size=(outputs, 3, 3, 200))).reshape(outputs, -1))
    one, two, many = (signs.convolve(x, [laid], conv, how, threads=n) for n in (1, 2, 7))
    assert np.array_equal(one, two) and np.array_equal(one, many)


def test_panels_of_the_library_are_those_of_numpy(compiled):
    rows = np.random.default_rng(0).integers(0, 1 << 63, (19, 5), dtype=np.uint64)
    laid = np.empty((3, 5, signs.PANEL), np.uint64)
    compiled.signs_panels(rows.ctypes.data, 19, 5, laid.ctypes.data)
    assert np.array_equal(laid, signs.panels(rows))


def test_no_set_is_chosen_that_is_not_here(compiled):
    best = compiled.signs_choose(99)
    assert best == SETS[-1] and compiled.signs_choose(-3) == 0 and library.chosen() == "portable"
    assert compiled.signs_choose(best) == best and library.about() == (
        True,
        f"compiled, running on {library.SETS[best]}",
    )


X, LAID = np.zeros((2, 4, 4, 1, 1), np.uint64), np.zeros((1, 9, 8), np.uint64)
HOW = Convolution(5, 3, (3, 3))
DEFINED = {  # what is unusual, and what it gives
    "rows that lie apart": lambda: signs.pack(np.ones((6, 130), np.float32)[::2, ::2]).tolist(),
    "columns first": lambda: signs.pack(np.asfortranarray(np.ones((3, 65), np.float32))).tolist(),
    "doubles": lambda: signs.pack(np.ones((3, 65))).tolist(),
    "whole numbers": lambda: signs.pack(np.ones((3, 65), np.int64)).tolist(),
    "words that lie apart": lambda: signs.multiply(np.zeros((4, 2), np.uint64)[::2, ::2], np.zeros((1, 1, 8), np.uint64), 3, 5).tolist(),
}  # fmt: skip
WANTED = [[[(1 << 64) - 1, 1]]] * 3


@pytest.mark.parametrize("name", DEFINED)
@pytest.mark.parametrize("compiled_or_not", ["kernels", "numpy"])
def test_what_is_unusual_has_a_defined_result(name, compiled_or_not, monkeypatch):
    if compiled_or_not == "numpy":
        monkeypatch.setattr(library, "kernels", lambda: None)
    assert DEFINED[name]() == ([[5] * 3] * 2 if "words" in name else WANTED)


@pytest.mark.parametrize("compiled_or_not", ["kernels", "numpy"])
def test_no_rows_give_none(compiled_or_not, monkeypatch):
    if compiled_or_not == "numpy":
        monkeypatch.setattr(library, "kernels", lambda: None)
    assert signs.pack(np.zeros((0, 70), np.float32)).shape == (0, 1, 2)
    assert signs.pack(np.zeros((3, 0), np.float32)).shape == (3, 1, 0)
    laid = np.zeros((1, 1, 8), np.uint64)
    assert signs.multiply(np.zeros((0, 1), np.uint64), laid, 3, 5).shape == (0, 3)
    assert signs.multiply(np.zeros((0, 1), np.uint64), laid, 3, 5, Then(least=np.zeros(3))).shape == (0, 1)
    assert signs.convolve(X[:0], [LAID], HOW).shape == (0, 2, 2, 3)
    assert signs.convolve(X[:0], [LAID], HOW, Then()).dtype == np.float32


REFUSED = {
    "text": (lambda: signs.pack(np.array(["a"])), "taken of numbers"),
    "complex": (lambda: signs.pack(np.zeros((2, 3), complex)), "taken of numbers"),
    "a single number": (lambda: signs.pack(np.float32(1)), "taken of numbers"),
    "groups": (lambda: signs.pack(np.zeros((2, 5)), groups=2), "no multiple"),
    "no groups": (lambda: signs.pack(np.zeros((2, 5)), groups=0), "no multiple"),
    "thresholds": (lambda: signs.pack(np.zeros((2, 5)), np.zeros(4)), "thresholds of shape"),
    "numbers for bits": (lambda: signs.multiply(np.zeros((2, 1)), np.zeros((1, 1, 8), np.uint64), 3, 5), "bits are uint64"),
    "one axis": (lambda: signs.multiply(np.zeros(2, np.uint64), np.zeros((1, 1, 8), np.uint64), 3, 5), "bits are uint64"),
    "panels": (lambda: signs.multiply(np.zeros((2, 1), np.uint64), np.zeros((1, 2, 8), np.uint64), 3, 5), "panels of shape"),
    "other panels": (lambda: signs.convolve(X, [LAID.astype(np.int64)], HOW), "panels of shape"),
    "length": (lambda: signs.multiply(np.zeros((2, 1), np.uint64), np.zeros((1, 1, 8), np.uint64), 3, 0), "between 1 and"),
    "scales": (lambda: signs.convolve(X, [LAID], HOW, Then(scale=np.ones(4))), "there are 3 outputs"),
    "levels": (lambda: signs.convolve(X, [LAID], HOW, Then(least=np.ones(2))), "there are 3 outputs"),
    "too small": (lambda: signs.convolve(X[:, :2], [LAID], HOW), "does not fit"),
    "no height": (lambda: signs.convolve(X[:, :0], [LAID], Convolution(5, 3, (3, 3), pad=(2, 2))), "does not fit"),
    "axes": (lambda: signs.convolve(X[0], [LAID], HOW), "bits are uint64 with 5 axes"),
    "words": (lambda: signs.convolve(X, [LAID], Convolution(70, 3, (3, 3))), "2 words|1 words"),
    "no stride": (lambda: Convolution(5, 3, stride=(0, 1)), "at least 1"),
    "pad": (lambda: Convolution(5, 3, pad=(-1, 1)), "padding at least 0"),
    "uneven groups": (lambda: Convolution(5, 3, groups=2), "multiple of groups"),
    "too long": (lambda: Convolution(1 << 22, 3, (3, 3)), "are exact"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused(name):
    act, said = REFUSED[name]
    with pytest.raises(ValueError, match=said):
        act()


def test_structures_are_as_long_as_in_c():
    """A field added on one side alone would be read as another."""
    assert ctypes.sizeof(library.Sink) == 9 * 8 and ctypes.sizeof(library.Shape) == 13 * 8
