"""Augmentation changes rows as their axes allow, the same way for the same seed, and leaves at 0 what it gets."""

from __future__ import annotations

import pytest
import torch

from metalearner import testing
from metalearner.records import Axis, View
from metalearner.train import augment as module
from metalearner.train import colours
from metalearner.train.augment import Manner, mixup
from metalearner.train.draws import Draw
from metalearner.train.productions import POLICIES

VIEWS = {
    "image": View((Axis("space", 12), Axis("space", 16)), 3),
    "photograph": View((Axis("space", 12), Axis("space", 16)), 3, channel_kind="colours"),
    "grey picture": View((Axis("space", 12), Axis("space", 16)), 1, channel_kind="colours"),
    "film": View((Axis("time", 5), Axis("space", 8), Axis("space", 8)), 3, channel_kind="colours"),
    "spectrogram": View((Axis("time", 40, True),), 20, channel_kind="bands"),
    "video": View((Axis("time", 5), Axis("space", 8), Axis("space", 8)), 1),
    "series": View((Axis("time", 40),), 2),
    "ragged series": View((Axis("time", 40, True),), 2),
    "channels by time": View((Axis("set", 3), Axis("time", 40)), 1),
    "tokens": View((Axis("tokens", 20, True),), 4),
    "set": View((Axis("set", 20, True),), 4),
    "whole set": View((Axis("set", 20),), 4),
}


def batch(view, rows):
    """Random inputs without missing numbers."""
    values, codes, mask = testing.random_inputs(view, rows)
    return [(values.nan_to_num(), codes, mask)]


def augment(given, views, strength, generator, flip=False, policy="basic"):
    """All rows, or each by its own strength and policy."""
    rows = len(given[0][0])
    named = [policy] * rows if isinstance(policy, str) else policy
    chosen = torch.tensor([POLICIES.index(p) for p in named])
    much = torch.as_tensor(strength, dtype=torch.float32).expand(rows)
    return module.augment(given, views, Manner(much, torch.full((rows,), flip), chosen), generator)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", VIEWS)
def test_a_row_is_changed_and_keeps_its_form(name, policy):
    view = VIEWS[name]
    given = batch(view, 32)
    before = given[0][0].clone()
    (values, codes, mask), *_ = augment(given, {"x": view}, 0.8, seeded(), True, policy)
    assert values.shape == before.shape and codes is None
    assert torch.equal(given[0][0], before), "the batch itself was changed"
    assert torch.isfinite(values).all() and not torch.equal(values, before)
    again = augment(given, {"x": view}, 0.8, seeded(), True, policy)[0][0]
    assert torch.equal(values, again) and not torch.equal(
        values, augment(given, {"x": view}, 0.8, seeded(1), True, policy)[0][0]
    )
    if mask is not None:
        lengths = mask.sum(1)
        there = given[0][2].sum(1)
        assert (lengths >= there.clamp(max=1)).all() and (lengths <= there).all()
        assert torch.equal(mask, torch.arange(mask.shape[1]) < lengths[:, None]), "padding must stay behind the data"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", VIEWS)
def test_strength_zero_leaves_everything(name, policy):
    given = batch(VIEWS[name], 8)
    assert augment(given, {"x": VIEWS[name]}, 0.0, seeded(), True, policy) is given
    strength = torch.tensor([0.0, 0.5] * 4)
    values = augment(given, {"x": VIEWS[name]}, strength, seeded(), True, policy)[0][0]
    assert torch.equal(values[::2], given[0][0][::2]) and not torch.allclose(values[1::2], given[0][0][1::2])


def test_a_table_is_left_alone():
    view = View((Axis("columns", 5),), 1, (3,))
    given = batch(view, 8)
    values, codes, _ = augment(given, {"x": view}, 1.0, seeded())[0]
    assert torch.equal(values.nan_to_num(), given[0][0].nan_to_num()) and torch.equal(codes, given[0][1])


def test_images_move_at_most_an_eighth_and_are_mirrored_only_when_asked():
    view = VIEWS["image"]
    ramp = torch.arange(16.0).expand(64, 12, 16).unsqueeze(-1).expand(64, 12, 16, 3).contiguous()

    def rising(flip):
        values = augment([(ramp, None, None)], {"x": view}, 0.5, seeded(), flip)[0][0][..., 0]
        steps = values.diff(dim=2)
        return steps.median(dim=2).values.median(dim=1).values > 0

    assert rising(False).all()
    assert 0.6 < rising(True).float().mean() < 0.9, "half of the changed half"


def test_ragged_series_keep_their_padding():
    view = VIEWS["ragged series"]
    values, _, mask = batch(view, 16)[0]
    values[~mask] = float("nan")
    found = augment([(values, None, mask)], {"x": view}, 1.0, seeded())[0][0]
    assert torch.isfinite(found[mask]).all() and torch.isnan(found[~mask]).all()


def test_mixup_averages_rows_and_says_with_which():
    values = torch.arange(64.0)[:, None, None].expand(64, 5, 1).clone()
    values[3, 2] = float("nan")
    codes = torch.arange(64)[:, None]
    mixed, partner, weight = mixup([(values, codes, None)], torch.zeros(64), 0.4, seeded())
    assert (weight >= 0.5).all() and (weight <= 1).all() and sorted(partner.tolist()) == list(range(64))
    expected = weight * torch.arange(64.0) + (1 - weight) * partner
    assert torch.allclose(mixed[0][0][:, 0, 0], expected) and torch.equal(mixed[0][1], codes)
    assert torch.isnan(mixed[0][0]).sum() == 1, "what is missing stays missing, and does not spread"


def test_mixup_of_strength_zero_is_the_batch():
    given = batch(VIEWS["series"], 8)
    mixed, _, weight = mixup(given, torch.zeros(8), 0.0, seeded())
    assert torch.equal(mixed[0][0], given[0][0]) and (weight == 1).all()


def test_a_stronger_mixup_mixes_more():
    given = batch(VIEWS["series"], 256)
    means = [float(mixup(given, torch.zeros(256), s, seeded())[2].mean()) for s in (0.1, 0.4, 1.0)]
    assert means == sorted(means, reverse=True) and means[2] == pytest.approx(0.75, abs=0.02)


def test_missing_numbers_do_not_spread():
    view = VIEWS["image"]
    values = batch(view, 16)[0][0]
    values[:, 3, 3] = float("nan")
    found = augment([(values, None, None)], {"x": view}, 0.5, seeded())[0][0]
    found[:, 3, 3] = 0.0
    assert torch.isfinite(found).all()
    view = VIEWS["series"]
    values = batch(view, 16)[0][0]
    values[:, 20, 1] = float("nan")
    found = augment([(values, None, None)], {"x": view}, 0.5, seeded())[0][0]
    assert torch.isnan(found).sum() <= 16 and torch.isfinite(found[..., 0]).all()


@pytest.mark.parametrize("policy", POLICIES[1:])
def test_rows_whose_policy_is_basic_are_untouched_by_that_of_others(policy):
    """In a stack of networks each has its own; a basic batch alone draws no more numbers than before there were others."""
    for name in ("photograph", "spectrogram"):
        given = batch(VIEWS[name], 64)
        alone = augment(given, {"x": VIEWS[name]}, 1.0, seeded(), policy=["basic"] * 64)[0][0]
        bare = VIEWS[name]
        without = augment(given, {"x": View(bare.axes, bare.channels)}, 1.0, seeded())[0][0]
        assert torch.equal(alone, without)
        mixed = augment(given, {"x": bare}, 1.0, seeded(), policy=["basic", policy] * 32)[0][0]
        assert torch.isfinite(mixed).all() and not torch.equal(mixed, alone)


def test_masks_of_a_spectrum_are_whole_bands_and_whole_steps():
    view = VIEWS["spectrogram"]
    given = [(torch.ones(400, 40, 20), None, torch.arange(40).expand(400, 40) < 30)]
    draw = Draw(seeded(), torch.ones(400))
    found = module._masked(given[0][0], 1, given[0][2], draw, torch.full((400,), 2))
    gone = found == 0
    bands, steps = gone.all(1), gone.all(2)  # (400, 20), (400, 40)
    assert torch.equal(gone, bands[:, None] | steps[:, :, None])
    assert 0.2 < bands.float().mean() < 0.35 and bands.float().mean(1).max() <= 2 * module.BANDS
    assert not steps[:, 30:].any(), "what is not there needs no mask"
    runs = (bands.float().diff(dim=1, prepend=torch.zeros(400, 1)) > 0).sum(1)
    assert runs.max() == 2, "two groups of neighbouring bands"
    for policy, most in zip(POLICIES, (0, 1, 1, 2)):
        values = augment(given, {"x": view}, 1.0, seeded(), policy=policy)[0][0]
        assert ((values[:, :30] == 0).all(1).any(1).float().mean() > 0.3) == (most > 0), policy


def test_grey_stays_grey_and_jitter_is_of_the_size_it_says():
    grey = torch.randn(64, 1, 1, 6, 6, generator=seeded()).expand(64, 1, 3, 6, 6)
    jitter = colours.Jitter.drawn(Draw(seeded(), torch.ones(64)))
    found = jitter(grey)
    assert torch.allclose(found, found[:, :, :1].expand_as(found), atol=1e-5)
    middles = (found.mean((1, 2, 3, 4)) - grey.mean((1, 2, 3, 4))).abs()
    assert 0.2 < middles.mean() < 0.4 and middles.max() <= colours.BRIGHTER
    still = colours.Jitter(torch.zeros(64), torch.ones(64), torch.ones(64), torch.zeros(64))
    colour = torch.randn(64, 2, 3, 6, 6, generator=seeded())
    assert torch.allclose(still(colour), colour, atol=1e-6)


@pytest.mark.parametrize("name", colours.OPERATIONS)
def test_every_operation_changes_what_its_name_says(name):
    pictures = (
        torch.randn(16, 1, 3, 8, 8, generator=seeded()) * torch.tensor([1.0, 2.0, 0.5])[None, None, :, None, None]
    )
    chosen = torch.zeros(16, len(colours.OPERATIONS), dtype=torch.bool)
    chosen[:8, colours.OPERATIONS.index(name)] = True
    operations = colours.Operations(chosen, Draw(seeded(), torch.ones(16)))
    moved = {k for k, much in operations.moves().items() if bool((much != 0).any())}
    found = operations(pictures)
    assert torch.allclose(found[8:], pictures[8:], atol=1e-5), "rows that did not draw it"
    same = torch.allclose(found[:8], pictures[:8], atol=1e-5)
    geometric = name.startswith(("turn", "shear", "shift"))
    assert same == (geometric or name == "identity") and moved == ({name} if geometric else set())
    if name in ("posterise", "solarise", "autocontrast"):
        assert found.amin() >= pictures.amin() - 1e-4 and found.amax() <= pictures.amax() + 1e-4


def test_as_many_operations_are_drawn_as_asked_for():
    drawn = colours.Operations.drawn(Draw(seeded(), torch.ones(3)), torch.tensor([0, 1, 2])).chosen
    assert drawn.sum(1).tolist() == [0, 1, 2]
