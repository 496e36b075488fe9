"""Augmentations as they will look: the ways that are shown are those that training has, and change what they say."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from metalearner import sources
from metalearner.augmentations import Way, _ways, augmentations, said
from metalearner.data import read
from metalearner.dataset import Dataset
from metalearner.events import Story
from metalearner.records import Axis, View
from metalearner.request import Request
from metalearner.steps.understand import formulate_and_prepare
from metalearner.train.augment import Manner, augment
from metalearner.train.productions import POLICIES

VIEWS = {
    "colours": View((Axis("space", 12), Axis("space", 12)), 3, channel_kind="colours"),
    "bands": View((Axis("time", 40, True),), 16, channel_kind="bands"),
    "series": View((Axis("time", 40),), 2),
    "set": View((Axis("set", 12, True),), 3),
    "columns": View((Axis("columns", 9),), 1),
}


def prepared(name, folder, registry):
    folder.mkdir(exist_ok=True)
    source = sources.find(name)
    formulate_and_prepare(Request(name), source, read(source.source, registry.modalities), registry, folder,
                          Story(folder / "events.jsonl"))  # fmt: skip
    return folder


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))), int)


def changed(view, policy, flip=False):
    """What training makes of 64 rows with these words of a recipe."""
    rng = torch.Generator().manual_seed(3)
    values = torch.randn(64, *view.shape, generator=rng)
    mask = torch.ones(64, view.axes[0].size, dtype=torch.bool) if view.axes[0].ragged else None
    manner = Manner.of([{"augment": 0.5, "policy": policy, "flip": flip}], 64)
    after = augment([(values, None, mask)], {"x": view}, manner, torch.Generator().manual_seed(0))[0]
    return torch.cat([p.float().flatten() for p in (after[0], after[2]) if p is not None]), values


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_each_way_is_one_of_its_own_in_training_and_none_is_left_out(name):
    view = VIEWS[name]
    found = [changed(view, way.partition(" ")[0], " flip" in way)[0] for way in _ways(view)]
    for i, one in enumerate(found):
        assert not any(torch.equal(one, other) for other in found[:i])
    for policy in POLICIES:
        after, before = changed(view, policy)
        assert any(torch.equal(after, one) for one in found) or (not found and torch.equal(after, before.flatten()))


def test_pictures_are_shown_as_they_are_and_in_every_way(tmp_path, registry):
    ways = augmentations(prepared("digits", tmp_path, registry), registry)
    assert [w.name for w in ways] == ["", "basic", "basic flip", "channels", "random-1", "random-2", "mixup"]
    dataset = Dataset.open(tmp_path / "data")
    rows = np.asarray(dataset.fields["image"])[..., 0].astype(int)  # (n, 8, 8)
    for i, uri in enumerate(ways[0].images):
        asis = pixels(uri)
        assert np.abs(rows - asis[::16, ::16]).max((1, 2)).min() <= 1  # it is one of them
        for way in ways[1:]:
            assert np.abs(pixels(way.images[i]) - asis).mean() > 2, way.name
    assert all(note.count("%") == 2 for note in ways[-1].notes)
    assert Way.from_json(ways[1].to_json()) == ways[1]
    assert "At strength 0.5" in said(ways)[-1]


def test_series_are_lines_and_rows_of_columns_are_left_alone(tmp_path, registry):
    ways = augmentations(prepared("gunpoint", tmp_path / "series", registry), registry)
    assert [w.name for w in ways] == ["", "basic", "mixup"]
    asis, basic = ways[0].series[0].series[0], ways[1].series[0].series[0]
    assert len(asis.y) == len(basic.y) == 150 and np.std(np.diff(basic.y)) > 1.5 * np.std(np.diff(asis.y))  # noise
    assert Way.from_json(ways[1].to_json()) == ways[1]
    table = augmentations(prepared("penguins", tmp_path / "table", registry), registry)
    assert table == [] and "not augmented" in said(table)[0]
