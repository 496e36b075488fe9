"""Recordings kept beside their spectrograms, where somebody listens."""

from __future__ import annotations

import base64
import wave as standard

import numpy as np
import pytest
from metalearner_modality_signal import heard
from metalearner_modality_signal.modality import SignalModality
from metalearner_modality_signal.scaling import SignalScaling

from metalearner.arrays import RAW, Fields, Ragged
from metalearner.errors import DataError
from metalearner.testing import check_modality, check_transform

SIGNAL, SCALING = SignalModality(), SignalScaling()


@pytest.fixture
def clips(tmp_path):
    for i in range(8):
        folder = tmp_path / "ab"[i % 2]
        folder.mkdir(exist_ok=True)
        tone = 0.5 * np.sin(np.arange(4000 + 400 * i) * (0.1 + 0.2 * (i % 2)))
        with standard.open(str(folder / f"{i}.wav"), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes((tone * 32767).astype("<i2").tobytes())
    return tmp_path


def test_without_a_listener_nothing_is_kept(clips):
    schema = SIGNAL.sniff(clips)
    assert heard.COLUMN not in schema.names and SIGNAL.views(schema)["signal"].raw == ""


def test_a_listener_gets_the_recording_at_its_own_rate(clips, monkeypatch):
    monkeypatch.setattr(heard, "wanted", lambda: True)
    schema = check_modality(SIGNAL, clips)
    fields = Fields.concat(list(SIGNAL.decode(clips, schema)))
    own = fields[heard.COLUMN]
    assert isinstance(own, Ragged) and own.values.dtype == np.int16
    assert own.lengths.min() == 8000 and own.lengths.max() > 12_000  # twice as many samples at twice the rate
    inputs = fields.without("label")
    check_transform(SCALING, inputs, schema.without("label"))
    state = SCALING.fit(inputs, schema.without("label"))
    tensors = SCALING.apply(state, inputs)
    assert SCALING.views(state)["signal"].raw == "wave" and tensors["signal" + RAW].values.shape == (
        8,
        own.lengths.max(),
    )


def test_rows_of_a_server_are_heard_too(clips, monkeypatch):
    monkeypatch.setattr(heard, "wanted", lambda: True)
    schema = SIGNAL.sniff(clips).without("label")
    row = {"signal": base64.b64encode((clips / "a" / "0.wav").read_bytes()).decode()}
    fields = Fields.concat(list(SIGNAL.decode([row, row], schema)))
    whole = Fields.concat(list(SIGNAL.decode(clips, schema)))
    np.testing.assert_array_equal(fields[heard.COLUMN][0], whole[heard.COLUMN][0])
    with pytest.raises(DataError, match="no recording"):
        list(SIGNAL.decode([{"signal": [[0.0] * 40] * 5}], schema))
