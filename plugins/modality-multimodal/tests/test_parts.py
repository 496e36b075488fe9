"""Columns that are read by others: what these keep beside them comes along, and chunks that hold nothing have their form."""

from __future__ import annotations

import base64

import numpy as np
import pandas as pd
import pytest
from metalearner_modality_signal import heard, sound
from PIL import Image

from metalearner import plugins
from metalearner.arrays import RAW, Fields, Ragged
from metalearner.data import read
from metalearner.tables import frame
from metalearner.testing import check_modality, check_transform

REGISTRY = plugins.load()
MODALITY, TRANSFORM = REGISTRY.modalities["multimodal"], REGISTRY.transforms["multimodal"]


@pytest.mark.parametrize("who", ["a pretrained model", "a network"])
def test_recordings_that_somebody_listens_to_come_along(clips, monkeypatch, who):
    if who == "a network":
        monkeypatch.setenv(sound.OPTION, sound.WAVEFORM)
    else:
        monkeypatch.setattr(heard, "wanted", lambda: True)
    schema = check_modality(MODALITY, clips)
    assert schema.column("clip").kind == "array" and set(MODALITY.cells(schema)) == {"clip", "age", "kind"}
    reading = read(clips, REGISTRY.modalities)
    assert reading.modality is MODALITY
    inputs, own = reading.fields.without("kind"), reading.schema.without("kind")
    recordings = inputs["clip: heard"]
    assert isinstance(recordings, Ragged) and recordings.lengths[3] == 0 and recordings.lengths[4] > 0
    check_transform(TRANSFORM, inputs, own)
    state = TRANSFORM.fit(inputs, own)
    raw = "samples" if who == "a network" else "wave"
    assert TRANSFORM.views(state)["clip"].raw == MODALITY.views(own)["clip"].raw == raw
    assert TRANSFORM.apply(state, inputs)["clip" + RAW].values.shape == (12, recordings.lengths.max())
    row = {"clip": base64.b64encode((clips.parent / "5.wav").read_bytes()).decode(), "age": 25}
    sent = Fields.concat(list(MODALITY.decode([row, {"age": 3}], own)))
    np.testing.assert_array_equal(sent["clip: heard"][0], recordings[5])
    assert TRANSFORM.apply(state, sent)["clip"].mask[1].sum() == 0
    none = Fields.concat(list(MODALITY.decode([{"age": 3}, {"age": 4}], own)))
    assert TRANSFORM.apply(state, none)["clip" + RAW].values.tolist() == [[0], [0]]


def test_states_of_older_bundles_name_a_column_alone(clips):
    reading = read(clips, REGISTRY.modalities)
    inputs = reading.fields.without("kind")
    state = TRANSFORM.fit(inputs, reading.schema.without("kind"))
    [part] = state["parts"]
    old = {**state, "parts": [{"inner": "signal", **{k: v for k, v in part.items() if k != "names"}}]}
    for name, tensor in TRANSFORM.apply(state, inputs).items():
        np.testing.assert_array_equal(TRANSFORM.apply(old, inputs)[name].values, tensor.values)


def test_a_chunk_without_any_picture_has_the_size_of_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(frame, "CHUNK", 10)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(30):
        Image.fromarray(rng.integers(0, 255, (96, 80, 3), np.uint8)).save(tmp_path / f"{i}.png")
        photo = "" if 10 <= i < 20 else str(tmp_path / f"{i}.png")
        rows.append(
            {"photo": photo, "area": round(float(rng.uniform(50, 90)), 2), "price": round(float(rng.normal()), 3)}
        )
    table = pd.DataFrame(rows)
    fields = Fields.concat(list(MODALITY.decode(table, MODALITY.sniff(table))))
    assert fields["photo"].shape == (30, 96, 80, 3) and not fields["photo"][10:20].any() and fields["photo"][20:].any()
