"""The plugin comes in through its hooks, keeps the contracts, and is light until it is used."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from metalearner_modality_image.modality import ImageModality
from metalearner_modality_image.scaling import ImageScaling, shrunk
from PIL import Image

from metalearner import plugins
from metalearner.arrays import Fields
from metalearner.records import Axis, View
from metalearner.testing import check_modality, check_transform


def test_the_plugin_registers_what_it_brings():
    registry = plugins.load(only=["modality-image"])
    assert registry.get("modalities", "image").transform == "image-scaling"
    assert registry.get("transforms", "image-scaling").name == "image-scaling"
    assert not any(plugin.failure for plugin in registry.plugins if plugin.name == "modality-image")


def test_registering_imports_nothing_heavy():
    code = (
        "import sys, metalearner_modality_image as m; m.register_modalities(); m.register_transforms();"
        "print([n for n in ('PIL', 'pandas', 'torch', 'sklearn') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_contracts_are_kept(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for i in range(12):
            Image.fromarray(rng.integers(0, 256, (9, 7 + i, 3), dtype=np.uint8)).save(tmp_path / label / f"{i}.png")
    modality = ImageModality()
    schema = check_modality(modality, tmp_path)
    fields = Fields.concat(list(modality.decode(str(tmp_path), schema)))
    check_transform(ImageScaling(), fields, schema)
    assert modality.views(schema) == ImageScaling().views(ImageScaling().fit(fields, schema))


def test_scaling_learns_from_the_training_rows_alone():
    rng = np.random.default_rng(1)
    images = np.concatenate([rng.integers(0, 90, (600, 5, 6, 2)), rng.integers(200, 256, (9, 5, 6, 2))]).astype(
        np.uint8
    )
    scaling = ImageScaling()
    state = scaling.fit(Fields({"image": images[:600]}), None)
    seen = images[:600].astype(np.float64)
    np.testing.assert_allclose(state["mean"], seen.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(state["std"], seen.std(axis=(0, 1, 2)))
    values = scaling.apply(state, Fields({"image": images}))["image"].values
    assert values.dtype == np.float32 and values.shape == (609, 5, 6, 2)
    np.testing.assert_allclose(values[:600].mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(values[:600].std(axis=(0, 1, 2)), 1, atol=1e-5)
    assert values[600:].mean() > 3
    assert scaling.views(state) == {
        "image": View((Axis("space", 5), Axis("space", 6)), 2, raw="pixels", channel_kind="colours")
    }


def test_scaling_of_a_constant_channel_and_of_no_rows():
    scaling = ImageScaling()
    state = scaling.fit(Fields({"image": np.full((4, 3, 3, 1), 7, np.uint8)}), None)
    assert state["std"] == [1.0]
    assert not scaling.apply(state, Fields({"image": np.full((4, 3, 3, 1), 7, np.uint8)}))["image"].values.any()
    none = scaling.apply(state, Fields({"image": np.zeros((0, 3, 3, 1), np.uint8)}))["image"]
    assert none.values.shape == (0, 3, 3, 1)


def test_features_tell_how_pictures_differ():
    ramp = np.broadcast_to(np.arange(0, 160, 10, dtype=np.uint8)[:, None], (16, 16))
    flat = np.full((16, 16), 100, np.uint8)
    found = ImageModality().features(Fields({"image": np.stack([ramp, flat])[..., None]}), None)
    assert set(found) == {"brightness", "contrast", "edge energy"}
    np.testing.assert_allclose(found["brightness"], [75, 100])
    np.testing.assert_allclose(found["contrast"], [ramp.std(), 0], rtol=1e-6)
    np.testing.assert_allclose(found["edge energy"], [10, 0])
    colour = np.zeros((2, 8, 8, 3), np.uint8)
    colour[0, ..., 0], colour[1] = 200, 80
    found = ImageModality().features(Fields({"image": colour}), None)
    np.testing.assert_allclose(found["red"], [200, 80])
    np.testing.assert_allclose(found["blue"], [0, 80])
    np.testing.assert_allclose(found["saturation"], [255, 0])
    assert all(len(v) == 0 for v in ImageModality().features(Fields({"image": colour[:0]}), None).values())


def test_large_pictures_are_seen_small_and_kept_as_they_are():
    rng = np.random.default_rng(0)
    images = np.repeat(np.repeat(rng.integers(0, 256, (3, 32, 24, 3)).astype(np.uint8), 4, 1), 4, 2)
    scaling = ImageScaling()
    fields = Fields({"image": images})
    state = scaling.fit(fields, None)
    tensors = scaling.apply(state, fields)
    assert tensors["image"].values.shape == (3, 64, 48, 3) == (3, *scaling.views(state)["image"].shape)
    assert np.array_equal(tensors["image.raw"].values, images)
    back = tensors["image"].values * np.array(state["std"]) + np.array(state["mean"])
    assert abs(back.mean() - images.mean()) < 2


def test_of_large_pictures_features_are_those_of_smaller_ones():
    images = np.random.default_rng(0).integers(0, 256, (3, 224, 168, 3)).astype(np.uint8)
    found = ImageModality().features(Fields({"image": images}), None)
    fewer = ImageModality().features(Fields({"image": shrunk(images, (128, 96))}), None)
    assert {name: v.tolist() for name, v in found.items()} == {name: v.tolist() for name, v in fewer.items()}
