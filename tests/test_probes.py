"""Each probe finds what was planted for it, and only that."""

from __future__ import annotations

import numpy as np
import pytest

from metalearner import grammar
from metalearner.arrays import Tensor
from metalearner.describe.complexity import Complexity
from metalearner.describe.locality import Locality
from metalearner.describe.spectrum import Spectrum
from metalearner.describe.symmetry import Symmetry
from metalearner.describe.topology import Topology
from metalearner.grammar.layout import laid_out, layout, resemblance
from metalearner.outputs import Classification
from metalearner.records import Axis, View
from metalearner.sources import made


def measured(probe, x, y, *kinds):
    """The numbers of one probe on x (n, axes..., channels)."""
    view = View(tuple(Axis(kind, size) for kind, size in zip(kinds, x.shape[1:])), x.shape[-1])
    tensors = {"view": Tensor(np.asarray(x, np.float32))}
    found = probe.measure(tensors, {"view": view}, np.asarray(y), Classification(), np.random.default_rng(0))
    assert set(found) <= set(probe.explains)
    return found


def table(bias, variant=1):
    """A made table: numbers (n, p, 1) and its target."""
    x, y = made.BIASES[bias](made.Recipe.of(bias, variant))
    return x[:, :, None], y


# -- frequencies -----------------------------------------------------------------------------------


def test_noise_has_no_colour_and_a_random_walk_has_memory():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(300, 512, 1))
    y = rng.integers(0, 2, 300)
    white, brown = (measured(Spectrum(), x, y, "time") for x in (noise, noise.cumsum(axis=1)))
    assert abs(white["time_slope"]) < 0.1 and brown["time_slope"] < -1.5
    assert abs(white["time_hurst"] - 0.5) < 0.1 and brown["time_hurst"] > 1.3
    assert white["time_memory"] == 0 and 10 ** brown["time_memory"] > 30
    assert white["time_moving"] < 0.1 < brown["time_moving"]


@pytest.mark.parametrize("period", [8, 20])
def test_a_period_that_all_share_is_found(period):
    rng = np.random.default_rng(0)
    phase = rng.random((300, 1))
    waves = np.sin(2 * np.pi * (np.arange(240) / period + phase)) + rng.normal(size=(300, 240))
    found = measured(Spectrum(), waves[:, :, None], rng.integers(0, 2, 300), "time")
    assert 10 ** found["time_period"] == pytest.approx(period, rel=0.1)
    nothing = measured(Spectrum(), rng.normal(size=(300, 240, 1)), rng.integers(0, 2, 300), "time")
    assert found["time_shared_peak"] > nothing["time_shared_peak"] + 2


def test_gaps_and_constant_lines_are_put_up_with():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 64, 2))
    x[:10] = 3.0
    x[10:20, :30] = np.nan
    x[20:, ::20] = np.nan
    found = measured(Spectrum(), x, rng.integers(0, 2, 50), "time")
    assert all(np.isfinite(v) for v in found.values() if v is not None)
    assert measured(Spectrum(), np.full((50, 64, 1), 2.0), rng.integers(0, 2, 50), "time") == {}


# -- complexity ------------------------------------------------------------------------------------


def test_what_columns_say_only_together():
    parity, linear = (measured(Complexity(), *table(bias), "columns") for bias in ("parity", "linear"))
    assert parity["additive"] < 0.1 and parity["interaction"] > 0.2
    assert linear["additive_gain"] < 0.05 and linear["interaction"] < 0.05


def test_rules_are_for_trees_and_prototypes_for_neighbours():
    rules, prototypes = (measured(Complexity(), *table(bias, 2), "columns") for bias in ("rules", "retrieval"))
    assert rules["tree_gain"] > 0.05 and rules["column"] > 0.05
    assert prototypes["neighbours"] > prototypes["additive"] + 0.15
    assert prototypes["overlap"] < 0


def test_the_dimension_of_a_plane_is_two():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 2)) @ rng.normal(size=(2, 12))
    found = measured(Complexity(), x[:, :, None], rng.integers(0, 2, 800), "columns")
    assert 10 ** found["dimension"] == pytest.approx(2, rel=0.15)


def test_rows_that_are_all_alike():
    found = measured(Complexity(), np.ones((30, 4, 1)), np.arange(30) % 2, "columns")
    assert found == {} or found["dimension"] is None


# -- symmetry --------------------------------------------------------------------------------------


def test_where_a_stamp_stands_means_nothing():
    x, y = made.shift(made.Recipe.of("shift", 1))
    found = measured(Symmetry(), x[..., None] / 255, y, "space", "space")
    assert found["everywhere_gain"] > 0.05 and found["everywhere_gain_z"] > np.log1p(3)


def test_the_order_of_a_set_means_nothing():
    x, y = made.sets(made.Recipe.of("sets", 2))
    found = measured(Symmetry(), x, y, "time")
    assert found["unordered_gain"] > 0.15 and found["unordered_gain_z"] > np.log1p(3)


def test_where_something_stands_may_mean_everything():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 600)
    x = rng.normal(0, 0.3, size=(600, 64, 1))
    x[np.arange(600), y * 16 + 8] += 4
    found = measured(Symmetry(), x, y, "time")
    assert found["everywhere_gain"] < -0.3 and found["unordered_gain"] < -0.3


def test_left_and_right_may_be_what_is_asked():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 500)
    x = rng.normal(0, 0.3, size=(500, 12, 12, 1))
    x[y == 0, :, :4] += 1
    x[y == 1, :, 8:] += 1
    assert measured(Symmetry(), x, y, "space", "space")["mirrored"] < -0.5
    up = x.transpose(0, 2, 1, 3)
    assert measured(Symmetry(), up, y, "space", "space")["mirrored"] > -0.05


# -- topology --------------------------------------------------------------------------------------


def fields(n, side):
    """Smooth random pictures (n, side, side): neighbours are alike."""
    rng = np.random.default_rng(0)
    rough = rng.normal(size=(n, side + 4, side + 4))
    return sum(np.roll(rough, (i, j), (1, 2)) for i in range(3) for j in range(3))[:, 4:, 4:] / 3


@pytest.mark.parametrize("edge", [0, 9])
def test_a_shuffled_picture_is_laid_out_again(edge):
    """Cells of an edge that never vary take what the others leave."""
    side = 12
    x = fields(700, side).reshape(700, -1)
    x[:, :edge] = 0
    order = np.random.default_rng(1).permutation(side * side)
    cells = layout(resemblance(x[:, order]))
    assert sorted(cells) == list(range(side * side))
    true, found = (np.stack(np.divmod(c[order >= edge], side), 1) for c in (order, cells))
    apart = [np.linalg.norm(v[:, None] - v, axis=2)[np.triu_indices(len(true), 1)] for v in (true, found)]
    assert np.corrcoef(*apart)[0, 1] > 0.9
    pictures = laid_out(x[:, order, None], cells)
    assert pictures.shape == (700, side, side, 1)
    beside = np.corrcoef(pictures[:, :, 1:].ravel(), pictures[:, :, :-1].ravel())[0, 1]
    assert beside > 0.4


def test_layouts_of_halves_agree_only_where_there_is_a_picture():
    rng = np.random.default_rng(2)
    x, y = fields(700, 10), rng.integers(0, 2, 700)
    x[y == 1, 3:7, 3:7] += np.sign(rng.normal(size=(4, 4))) * 1.0  # a texture in the middle
    shuffled = x.reshape(700, -1)[:, rng.permutation(100), None]
    found = measured(Topology(), shuffled, y, "columns")
    assert found["agreement"] > 0.8 and found["recovered_gain"] is not None
    nothing = measured(Topology(), rng.normal(size=(700, 100, 1)), y, "columns")
    assert nothing["agreement"] < 0.5 and "recovered" not in nothing


# -- what a description calls for --------------------------------------------------------------------


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_table_that_is_a_picture_is_searched_as_one(tmp_path, registry, shuffled):
    import pandas as pd

    from metalearner.data import read
    from metalearner.events import Story
    from metalearner.knowledge import Base
    from metalearner.request import Request
    from metalearner.sources import find
    from metalearner.steps.foresee import foresee
    from metalearner.steps.hunt import productions
    from metalearner.steps.understand import formulate_and_prepare
    from metalearner.task import Wish

    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 900)
    x = fields(900, 12)
    for row, label in zip(x, y):
        down, right = rng.integers(0, 8, 2)
        row[down : down + 4, right : right + 4] += (
            2 * np.array([np.eye(4), np.fliplr(np.eye(4)), np.ones((4, 4)) / 4])[label]
        )
    flat = x.reshape(900, -1)
    flat = flat[:, rng.permutation(144)] if shuffled else flat
    file = tmp_path / "table.csv"
    pd.DataFrame(flat, columns=[f"v{i}" for i in range(144)]).assign(label=[f"k{v}" for v in y]).to_csv(
        file, index=False
    )
    source, story = find(str(file)), Story(tmp_path / "events.jsonl")
    request = Request(str(file), Wish("which kind?", "label"), cold=True)
    reading = read(source.source, registry.modalities)
    setting, _ = formulate_and_prepare(request, source, reading, registry, tmp_path / "run", story)
    assert "folded-resnet" not in setting.families
    foresight = foresee(setting, Base.open(shipped=None), request, story)
    (found, *_) = foresight.families["folded-resnet"].presets
    numbers = found.parts["encoder"][0].numbers
    assert numbers["recovered"] if shuffled else numbers["row"] == 12
    (view,), known = setting.views.values(), productions(setting, foresight)
    derived = [grammar.derive("tokeniser", view, {"reshape": known["reshape"]}, rng) for _ in range(20)]
    rows = {node.numbers["row"] for node in derived}
    assert len(rows) > 1 if shuffled else rows == {12}
    (convolved, *_) = foresight.families["folded-random-conv"].presets
    assert {k: convolved.numbers[k] for k in ("row", "recovered")} == {k: numbers[k] for k in ("row", "recovered")}


# -- what people see ---------------------------------------------------------------------------------


def digits():
    from sklearn.datasets import load_digits

    return load_digits().data[:, :, None]


def seen(probe, x, *kinds):
    view = View(tuple(Axis(kind, size) for kind, size in zip(kinds, x.shape[1:])), x.shape[-1])
    tensors = {"view": Tensor(np.asarray(x, np.float32))}
    return probe.sights(tensors, {"view": view}, np.random.default_rng(0))


def test_correlation_against_lag_shows_the_rows_of_a_hidden_picture():
    (sight,) = seen(Locality(), digits(), "columns")
    lag = {k + sight.first: v for k, v in enumerate(sight.values)}
    assert lag[8] > lag[7] and lag[8] > lag[6] and lag[1] > sight.chance
    assert len(seen(Locality(), np.random.default_rng(0).normal(size=(50, 9, 7, 1)), "space", "time")) == 2


def test_columns_that_say_the_same_can_be_laid_out_and_so_can_empty_ones():
    rng = np.random.default_rng(0)
    x = np.repeat(rng.integers(0, 2, (60, 7)), 6, axis=1).astype(np.float32)
    x[:, :3] = np.nan
    alike = resemblance(x)
    assert np.isfinite(alike).all()
    for correlation in (alike, alike + np.float32(1e-5)):
        assert sorted(layout(correlation)) == sorted(set(layout(correlation)))


def test_a_recovered_layout_is_a_grid_of_all_columns():
    rng = np.random.default_rng(0)
    (sight,) = seen(Topology(), digits()[:, rng.permutation(64)], "columns")
    grid = np.array(sight.values)
    assert grid.shape == (8, 8) and np.isfinite(grid).all()
    (ragged,) = seen(Topology(), digits()[:, :60], "columns")
    assert np.isnan(np.array(ragged.values)).sum() == 4
    assert seen(Topology(), digits()[:, :20], "columns") == []
    (widest,) = seen(Topology(), rng.normal(size=(50, 576, 1)), "columns")
    assert np.array(widest.values).shape == (24, 24)
