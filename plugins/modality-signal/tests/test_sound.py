"""What a user may ask for beyond spectrograms: waveforms beside them, silence around speech cut off."""

from __future__ import annotations

import base64
import wave as standard

import numpy as np
import pytest
from metalearner_modality_signal import heard, logmel, recordings, sound, speech
from metalearner_modality_signal.modality import SignalModality
from metalearner_modality_signal.scaling import SignalScaling

from metalearner.arrays import RAW, Fields, Ragged
from metalearner.errors import DataError
from metalearner.testing import check_modality, check_transform

SIGNAL, SCALING = SignalModality(), SignalScaling()
LOUD, SILENT = 0.5, 1.0  # seconds of the tone, and of silence on both sides of it


@pytest.fixture
def clips(tmp_path):
    """A tone between two silences, two classes."""
    for i in range(8):
        folder = tmp_path / "ab"[i % 2]
        folder.mkdir(exist_ok=True)
        tone = 0.5 * np.sin(np.arange(int(8000 * LOUD)) * (0.2 + 0.2 * (i % 2)))
        around = np.zeros(int(8000 * SILENT))
        with standard.open(str(folder / f"{i}.wav"), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes((np.concatenate([around, tone, around]) * 32767).astype("<i2").tobytes())
    return tmp_path


@pytest.fixture
def loud_is_speech(monkeypatch):
    """Stands for the network: what is loud is speech."""
    monkeypatch.setattr(speech, "missing", lambda: "")

    def chances(given):
        steps = max(-(-len(one) // speech.STEP) for one in given)
        found = np.zeros((len(given), steps))
        for row, one in zip(found, given):
            for j in range(len(one) // speech.STEP):
                row[j] = float(np.abs(one[j * speech.STEP : (j + 1) * speech.STEP]).mean() > 0.1)
        return found

    monkeypatch.setattr(speech, "_chances", chances)


def decoded(source, schema):
    return Fields.concat(list(SIGNAL.decode(source, schema)))


def test_unless_asked_nothing_is_kept_or_cut(clips):
    schema = check_modality(SIGNAL, clips)
    view = SIGNAL.views(schema)["signal"]
    assert view.raw == "" and view.channel_kind == "bands" and "trimmed" not in schema.options


def test_a_word_that_means_nothing_is_named(clips, monkeypatch):
    monkeypatch.setenv(sound.OPTION, "waveform,speach")
    with pytest.raises(DataError, match="Did you mean 'speech'") as caught:
        SIGNAL.sniff(clips)
    assert caught.value.holds and sound.OPTION in caught.value.hint


def test_waveforms_are_kept_at_their_own_rate(clips, monkeypatch):
    monkeypatch.setenv(sound.OPTION, sound.WAVEFORM)
    schema = check_modality(SIGNAL, clips)
    assert schema.options[heard.COLUMN] == {"rate": 8000, "samples": 32_000, "raw": "samples"}
    monkeypatch.delenv(sound.OPTION)  # the schema alone says what is read later
    fields = decoded(clips, schema)
    own = fields[heard.COLUMN]
    assert isinstance(own, Ragged) and own.values.dtype == np.int16 and set(own.lengths) == {20_000}
    inputs = fields.without("label")
    check_transform(SCALING, inputs, schema.without("label"))
    state = SCALING.fit(inputs, schema.without("label"))
    view = SCALING.views(state)["signal"]
    assert view.raw == "samples" and view.channel_kind == "bands"
    assert SCALING.apply(state, inputs)["signal" + RAW].values.shape == (8, 20_000)
    row = {"signal": base64.b64encode((clips / "a" / "0.wav").read_bytes()).decode()}
    alone = decoded([row], schema.without("label"))
    np.testing.assert_array_equal(alone[heard.COLUMN][0], own[0])


def test_what_would_be_too_much_is_not_kept(clips, monkeypatch):
    monkeypatch.setenv(sound.OPTION, sound.WAVEFORM)
    monkeypatch.setattr(heard, "LARGEST", 100_000)
    schema = SIGNAL.sniff(clips)
    assert heard.COLUMN not in schema.names and "spectrograms alone" in schema.column("signal").note


def test_states_of_older_bundles_are_of_pretrained_listeners():
    old = {
        "heard": 5,
        "axes": [{"kind": "time", "size": 8}],
        "ragged": True,
        "centre": [0.0],
        "scale": [1.0],
        "heavy": [False],
    }
    assert SCALING.views(old)["signal"].raw == "wave" and SCALING.views(old)["signal"].channel_kind == ""


def test_silence_around_speech_is_cut_off(clips, monkeypatch, loud_is_speech):
    monkeypatch.setenv(sound.OPTION, f"{sound.SPEECH}, {sound.WAVEFORM}")
    schema = check_modality(SIGNAL, clips)
    assert schema.options["trimmed"] == "silero-vad"
    assert "speech is heard in 8 of 8 recordings" in schema.column("signal").note
    own = decoded(clips, schema)[heard.COLUMN]
    wanted = 8000 * (LOUD + 2 * speech.AROUND)
    assert np.abs(own.lengths - wanted).max() <= 2 * speech.STEP
    row = {"signal": base64.b64encode((clips / "a" / "0.wav").read_bytes()).decode()}
    np.testing.assert_array_equal(decoded([row], schema.without("label"))[heard.COLUMN][0], own[0])
    options = schema.options
    assert logmel.frames(wanted, options) <= options["axes"][0]["size"] < logmel.frames(20_000, options)


def test_where_few_speak_nothing_is_cut(clips, monkeypatch, loud_is_speech):
    monkeypatch.setenv(sound.OPTION, sound.SPEECH)
    monkeypatch.setattr(speech, "SURE", 2.0)
    schema = SIGNAL.sniff(clips)
    assert "trimmed" not in schema.options and "heard in 0 of 8 recordings" in schema.column("signal").note


def test_a_recording_without_speech_stays_whole(loud_is_speech):
    quiet, loud = np.zeros(8000, np.float32), np.ones(8000, np.float32)
    assert [len(one) for one in speech.trimmed([quiet, loud], [8000, 16_000])] == [8000, 8000]


def test_without_the_package_nothing_is_cut_and_it_is_named(clips, monkeypatch):
    monkeypatch.setenv(sound.OPTION, sound.SPEECH)
    monkeypatch.setattr(speech, "PACKAGE", "no_such_package")
    schema = SIGNAL.sniff(clips)
    assert "trimmed" not in schema.options and "silero-vad is not installed" in schema.column("signal").note


def test_a_model_of_trimmed_recordings_needs_the_package(clips, monkeypatch, loud_is_speech):
    monkeypatch.setenv(sound.OPTION, sound.SPEECH)
    schema = SIGNAL.sniff(clips)
    monkeypatch.undo()
    monkeypatch.setattr(speech, "PACKAGE", "no_such_package")
    speech._network.cache_clear()
    with pytest.raises(DataError, match="silero-vad") as caught:
        decoded(clips, schema)
    assert caught.value.holds and "pip install silero-vad" in caught.value.hint


@pytest.mark.skipif(bool(speech.missing()), reason="silero-vad is not installed")
def test_the_network_hears_nothing_in_silence_and_noise():
    rng = np.random.default_rng(0)
    given = [np.zeros(9000, np.float32), (0.01 * rng.normal(size=16_000)).astype(np.float32)]
    assert speech.spoken(given, [8000, 16_000]) == [None, None]


def voice(pitch, rate=8000):
    """A second of vowels: pulses of a moving pitch through three resonances of a mouth, in syllables."""
    from scipy.signal import lfilter

    time = np.arange(rate) / rate
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.05 * np.sin(2 * np.pi * 3 * time))) / rate
    found = sum(np.sin(k * phase) / k for k in range(1, 25))
    for hertz, width in ((700, 100), (1200, 120), (2500, 160)):
        radius = np.exp(-np.pi * width / rate)
        found = lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * hertz / rate), radius**2], found)
    found *= np.abs(np.sin(2 * np.pi * 2.5 * time))
    return (0.5 * found / np.abs(found).max()).astype(np.float32)


@pytest.mark.skipif(bool(speech.missing()), reason="silero-vad is not installed")
@pytest.mark.parametrize("pitch", [100, 120, 150])
def test_the_network_hears_a_voice_and_the_silence_around_it_is_cut_off(pitch):
    silence = np.zeros(8000, np.float32)
    whole = np.concatenate([silence, voice(pitch), silence])
    [inside] = speech.spoken([whole], [8000])
    assert inside is not None and 0.7 < inside[0] < 1.2 and 1.7 < inside[1] < 2.3
    [kept] = speech.trimmed([whole], [8000])
    assert len(kept) < 0.6 * len(whole) and np.square(kept).sum() > 0.9 * np.square(whole).sum()


def test_only_so_much_is_in_memory_at_once(monkeypatch):
    monkeypatch.setattr(recordings, "AT_ONCE", 10)
    assert list(recordings._together([4, 4, 4, 20, 1])) == [[0, 1], [2], [3], [4]]
    assert list(recordings._together([])) == []


def test_the_ratio_of_absurd_rates_is_rounded():
    tone = np.sin(np.arange(100_000) * 0.01).astype(np.float32)
    found = logmel.resample(tone, 999_983, 8_000)
    assert abs(len(found) - 100_000 * 8_000 / 999_983) <= 1
    exact = logmel.resample(tone, 44_100, 8_000)
    assert len(exact) == int(np.ceil(100_000 * 80 / 441))
