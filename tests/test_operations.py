"""Operations of plugins: what the suite for their authors finds, and that what they take is counted whenever they come."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import register_flop_formula

from metalearner.grammar.cost import multiply_adds
from metalearner.testing import check_operation

NUMBER = itertools.count()


def product(x, weight):
    """An operation as it should be: rows (n, k) by weight (m, k)."""
    return x @ weight.T


def made(kernel=product, fake=None, back=None):
    """An operation of torch under a name of its own."""
    operation = torch.library.custom_op(
        f"metalearner_tests::product{next(NUMBER)}",
        kernel,
        mutates_args=(),
        schema="(Tensor x, Tensor weight) -> Tensor",
    )
    operation.register_fake(fake or (lambda x, weight: x.new_empty(x.shape[0], weight.shape[0])))
    right = lambda ctx, g: (g @ ctx.saved_tensors[1], g.T @ ctx.saved_tensors[0])  # noqa: E731
    operation.register_autograd(back or right, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs))
    return operation


def draw(rng):
    n, k, m = rng.integers(2, 6, 3)
    return torch.tensor(rng.normal(size=(n, k)), dtype=torch.float32), torch.tensor(
        rng.normal(size=(m, k)), dtype=torch.float32
    )


def check(operation, formula=product):
    check_operation(operation, draw, product, formula, tolerance=1e-5, rounds=3)


def test_a_good_operation_passes_with_a_formula_and_with_differences():
    check(made())
    check(made(), None)


def without_nan(x, weight):
    return torch.nan_to_num(x) @ weight.T


def by_memory(x, weight):
    return product(x, weight) + (0.0 if x.is_contiguous() else 1.0)


def together(x, weight):
    return product(x, weight) + float(len(x) > 1)


LIARS = {
    "other numbers": (made(lambda x, weight: product(x, weight) + 1e-3), r"fallback gives other numbers"),
    "other shapes": (made(fake=lambda x, weight: x.new_empty(weight.shape[0], x.shape[0])), "mismatched"),
    "another type": (made(fake=lambda x, weight: x.new_empty(x.shape[0], weight.shape[0], dtype=torch.float64)), "float64"),
    "another gradient": (made(back=lambda ctx, g: (2 * (g @ ctx.saved_tensors[1]), g.T @ ctx.saved_tensors[0])), "gradient"),
    "NaN": (made(without_nan), "where some are nan"),
    "memory": (made(by_memory), "lie in memory"),
    "rows": (made(together), r"other numbers|depends on the others"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIARS)
def test_what_an_operation_promises_falsely_is_found(name):
    operation, said = LIARS[name]
    with pytest.raises(Exception, match=said):
        check(operation)


def test_a_row_that_depends_on_others_is_found_where_the_fallback_does_the_same():
    with pytest.raises(AssertionError, match="depends on the others"):
        check_operation(made(together), draw, together, together, tolerance=1e-5, rounds=1)


def test_what_an_operation_takes_is_counted_though_it_came_later():
    operation = made()
    given = torch.zeros(3, 4), torch.zeros(5, 4)
    assert multiply_adds(lambda given: operation(*given), given) == 0

    @register_flop_formula(operation._opoverload.overloadpacket)
    def _(x, weight, *_, out_shape=None, **__):
        return 2 * x[0] * x[1] * weight[0]

    assert multiply_adds(lambda given: operation(*given), given) == 3 * 4 * 5
    assert np.isclose(multiply_adds(lambda given: product(*given), given), 3 * 4 * 5), "as torch's own are"
