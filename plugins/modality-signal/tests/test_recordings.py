"""WAV files, log-mel spectrograms, and sets of recordings."""

import base64
import io
import json
import struct
import wave as standard

import numpy as np
import pytest
from metalearner_modality_signal import logmel, wave
from metalearner_modality_signal.modality import SignalModality

from metalearner.arrays import Fields, Ragged
from metalearner.errors import DataError
from metalearner.records import Schema

SIGNAL = SignalModality()


def tone(hertz, seconds, rate=8000):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def pcm(samples, bits):
    """Samples (frames,) or (frames, channels) in -1..1 as bytes."""
    whole = np.round(np.asarray(samples) * (2 ** (bits - 1) - 1)).astype("<i4")
    if bits == 8:
        return (whole + 128).astype(np.uint8).tobytes()
    return np.ascontiguousarray(whole[..., None].view(np.uint8)[..., : bits // 8]).tobytes()


def write(file, samples, rate=8000, bits=16):
    """A WAV file by the standard library."""
    with standard.open(file if hasattr(file, "write") else str(file), "wb") as out:
        out.setnchannels(1 if np.ndim(samples) == 1 else np.shape(samples)[1])
        out.setsampwidth(bits // 8)
        out.setframerate(rate)
        out.writeframes(pcm(samples, bits))
    return file


def riff(kind, bits, data, channels=1, rate=8000, extensible=False, before=b""):
    """A WAV file by hand."""
    block = channels * bits // 8
    head = struct.pack("<HHIIHH", 0xFFFE if extensible else kind, channels, rate, rate * block, block, bits)
    if extensible:
        head += struct.pack("<HHIH", 22, bits, 0, kind) + b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + before + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def read(content):
    file = io.BytesIO(content)
    return wave.samples(file, wave.header(file))


def decode(source, schema):
    return Fields.concat(list(SIGNAL.decode(source, Schema.from_json(json.loads(json.dumps(schema.to_json()))))))


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_pcm(bits):
    given = tone(440, 0.05)
    file = write(io.BytesIO(), given, bits=bits)
    np.testing.assert_allclose(read(file.getvalue()), given, atol=1.5 / 2 ** (min(bits, 23) - 1))
    stereo = write(io.BytesIO(), np.stack([given, -given / 2], axis=1), bits=bits)
    np.testing.assert_allclose(read(stereo.getvalue()), given / 4, atol=1.5 / 2 ** (min(bits, 23) - 1))


@pytest.mark.parametrize("bits", [32, 64])
def test_floats_extensible_headers_and_other_chunks(bits):
    given = tone(440, 0.05)
    data = given.astype(f"<f{bits // 8}").tobytes()
    np.testing.assert_allclose(read(riff(3, bits, data)), given, atol=1e-7)
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\x00"
    np.testing.assert_allclose(read(riff(3, bits, data, extensible=True, before=odd)), given, atol=1e-7)


def test_a_recording_cut_short_keeps_what_it_has():
    whole = write(io.BytesIO(), tone(440, 0.05)).getvalue()
    assert len(read(whole[:-101])) == 400 - 51


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "empty file"),
        (b"ID3 this is something else", "not a RIFF WAVE"),
        (riff(1, 16, b""), "no samples"),
        (riff(1, 16, b"a"), "no samples"),
        (riff(7, 8, b"abc"), "codec 7"),
        (riff(1, 16, b"abcd", rate=0), "0 Hz"),
        (riff(1, 16, b"abcd", rate=2**30), "1073741824 Hz"),
        (b"RIFF\x00\x00\x00\x00WAVEdata\x04\x00\x00\x00abcd", "before their format"),
        (riff(1, 16, b"abcd")[:20], "no format chunk|cut short"),
    ],
)
def test_unreadable_recordings(content, message):
    with pytest.raises(wave.Unreadable, match=message):
        read(content)


@pytest.mark.parametrize("rate", [4000, 8000, 44100])
def test_a_tone_peaks_in_its_band(rate):
    options = logmel.choose(rate, rate)
    spectrum = logmel.log_mel(tone(1000, 1, rate), options)
    centres = logmel.hertz(np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), options["bands"] + 2))[1:-1]
    assert (spectrum.argmax(axis=1)[:-2] == np.abs(centres - 1000).argmin()).all()
    assert logmel.filters(rate, options["n_fft"], options["bands"]).any(axis=1).all()


def test_log_mel_against_its_definition():
    options = {"rate": 8000, "n_fft": 256, "hop": 100, "bands": 20}
    samples = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    spectrum = logmel.log_mel(samples, options)
    assert spectrum.shape == (1 + 8, 20)  # 744 samples behind the first window take eight hops of 100
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    power = np.abs(np.fft.fft(samples[300:556] * window)[:129]) ** 2 / (window**2).sum()
    np.testing.assert_allclose(spectrum[3], np.log(1e-6 + logmel.filters(8000, 256, 20) @ power), rtol=1e-4)
    assert logmel.log_mel(samples[:5], options).shape == (1, 20)


@pytest.fixture
def flat(tmp_path):
    """Recordings whose names begin with their label, the last at twice the rate."""
    for i in range(24):
        rate = 16000 if i == 23 else 8000
        write(tmp_path / f"{i % 2}_anna_{i:02d}.wav", tone(400 + 800 * (i % 2), 0.3 + 0.01 * i, rate), rate)
    return tmp_path


def test_flat_files_named_by_label(flat):
    schema = SIGNAL.sniff(flat)
    assert schema.rows == 24 and schema.column("label").levels == ("0", "1") and schema.options["rate"] == 8000
    assert "1 of another rate" in schema.column("signal").note
    fields = decode(flat, schema)
    assert isinstance(fields["signal"], Ragged) and fields["signal"].values.dtype == np.float32
    assert fields["signal"].values.shape[1] == SIGNAL.views(schema)["signal"].channels == schema.options["bands"] == 40
    assert 40 <= np.median(fields["signal"].lengths) <= 50
    assert fields["label"].tolist() == ["0"] * 12 + ["1"] * 12, "in order of their names"
    peaks = [int(s[:-2].mean(axis=0).argmax()) for s in fields["signal"]]
    assert len(set(peaks[:12])) == 1 and len(set(peaks[12:])) == 1 and peaks[0] < peaks[-1], "whatever their rate"


def test_class_folders_within_parts(tmp_path):
    for part in ("train", "test"):
        for label in ("dog", "cat"):
            (tmp_path / "set" / part / label).mkdir(parents=True)
            for i in range(3 if part == "train" else 2):
                write(tmp_path / "set" / part / label / f"{i}.wav", tone(500, 0.2))
    schema = SIGNAL.sniff(tmp_path)
    assert schema.rows == 6 and schema.options["test_file"] == "set/test"
    assert schema.column("label").levels == ("cat", "dog")
    assert decode(tmp_path / schema.options["test_file"], schema)["label"].tolist() == ["cat", "cat", "dog", "dog"]


def test_a_table_of_paths(flat):
    names = sorted(p.name for p in flat.glob("*.wav"))
    table = flat / "list.csv"
    table.write_text("who,file,digit\n" + "".join(f"anna,{n},0{n[0]}\n" for n in names))
    with pytest.raises(DataError, match="which of who, digit is the label"):
        SIGNAL.sniff(table)
    table.write_text("file,digit\n" + "".join(f"{n},0{n[0]}\n" for n in names))
    schema = SIGNAL.sniff(table)
    assert schema.names == ("signal", "digit") and schema.target_hint == "digit"
    assert schema.column("digit").levels == ("00", "01"), "as they are written"
    assert decode(table, schema)["digit"].tolist() == ["00"] * 12 + ["01"] * 12
    (flat / "new.csv").write_text(f"file\n{names[0]}\n")
    assert len(decode(flat / "new.csv", schema.without("digit"))["signal"]) == 1
    table.write_text("file,pitch\n" + "".join(f"{n},{i / 7}\n" for i, n in enumerate(names)))
    assert SIGNAL.sniff(table).column("pitch").kind == "number"
    table.write_text("file,pitch\n" + "".join(f"gone_{n},{i / 7}\n" for i, n in enumerate(names)))
    assert SIGNAL.sniff(table) is None, "a table whose recordings are elsewhere is a table"


def test_a_few_broken_recordings_are_skipped_and_counted(flat):
    for i in range(20):
        write(flat / f"1_bert_{i}.wav", tone(500, 0.3))
    write(flat / "0_zero.wav", np.zeros(0))
    (flat / "1_text.wav").write_text("no recording")
    schema = SIGNAL.sniff(flat)
    assert schema.rows == 44 and schema.options["skipped"] == 2
    assert "0_zero.wav: no samples" in schema.column("signal").note
    fields = decode(flat, schema)
    assert len(fields["signal"]) == 44 and (fields["label"] == "0").sum() == 12
    with pytest.raises(DataError, match=r"0_zero\.wav: no samples"):
        decode(flat, schema.without("label"))
    with pytest.raises(DataError, match=r"0_zero\.wav: no samples"):
        decode(flat / "0_zero.wav", schema.without("label"))
    write(flat / "0_nought.wav", np.zeros(0))
    with pytest.raises(DataError, match=r"3 of 47 recordings in .* cannot be read: 0_nought.wav: no samples"):
        SIGNAL.sniff(flat)


def test_long_recordings_are_cut_and_it_is_said(tmp_path):
    for i in range(20):
        write(tmp_path / f"{'ab'[i % 2]}_{i}.wav", tone(500, 30 if i == 0 else 0.2, 1000), 1000)
    schema = SIGNAL.sniff(tmp_path)
    assert "1 are longer than 4.1 s" in schema.column("signal").note
    assert decode(tmp_path, schema)["signal"].lengths.max() == 512


def test_recordings_from_a_server(flat):
    schema = SIGNAL.sniff(flat)
    inputs = schema.without("label")
    file = sorted(flat.glob("*.wav"))[-1]
    wanted = decode(file, inputs)["signal"]
    coded = base64.b64encode(file.read_bytes()).decode()
    np.testing.assert_array_equal(decode([{"signal": coded}], inputs)["signal"].values, wanted.values)
    first = sorted(flat.glob("*.wav"))[0]
    samples = read(first.read_bytes())
    served = decode([{"signal": samples.tolist()}], inputs)["signal"]
    np.testing.assert_allclose(served.values, decode(first, inputs)["signal"].values, atol=1e-5)
    np.testing.assert_array_equal(decode([{"signal": served[0].tolist()}], inputs)["signal"].values, served.values)
    for bad in (str(file), base64.b64encode(b"RIFF").decode()):  # a path is not opened
        with pytest.raises(DataError, match="recording in row 1 cannot be read"):
            decode([{"signal": bad}], inputs)


@pytest.mark.parametrize(
    "names, message",
    [
        (["a.wav", "b.wav"], "no class folders, and names that do not begin with a label"),
        (["a_1.wav", "a_2.wav"], "no class folders"),
        (["x/a.wav", "y/b.wav", "c.wav"], "c.wav lies beside the class folders"),
    ],
)
def test_recordings_without_labels(tmp_path, names, message):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, tone(500, 0.1))
    with pytest.raises(DataError, match=message):
        SIGNAL.sniff(tmp_path)


def test_a_single_recording_is_no_data_set(tmp_path):
    with pytest.raises(DataError, match="a single recording has none"):
        SIGNAL.sniff(write(tmp_path / "a.wav", tone(500, 0.1)))


def test_flac_is_read_as_the_same_samples_as_wav(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    stereo = np.stack([tone(440, 0.5), tone(220, 0.5)], axis=1)
    for label, other in (("low", 1.0), ("high", 0.3)):
        for form in ("wav", "flac"):
            folder = tmp_path / form / label
            folder.mkdir(parents=True)
            for i in range(3):
                whole = np.round(stereo * other * 32000).astype(np.int16)
                soundfile.write(folder / f"{i}.{form}", whole, 8000 + 3000 * (i == 2), subtype="PCM_16")
    schemas = [SIGNAL.sniff(tmp_path / form) for form in ("wav", "flac")]
    read = [Fields.concat(list(SIGNAL.decode(tmp_path / form, s))) for form, s in zip(("wav", "flac"), schemas)]
    assert schemas[0].options == schemas[1].options and schemas[1].rows == 6
    for a, b in zip(read[0]["signal"], read[1]["signal"]):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_flac_file_that_is_broken_says_so(tmp_path):
    (tmp_path / "a.flac").write_bytes(b"fLaC" + b"\0" * 40)
    with (tmp_path / "a.flac").open("rb") as file, pytest.raises(wave.Unreadable, match="FLAC"):
        wave.header(file)


def test_a_flac_file_that_is_damaged_within_is_left_out_and_counted(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    for i in range(24):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        soundfile.write(tmp_path / "ab"[i % 2] / f"{i:02}.flac", tone(440, 1.0) + 0.01 * i, 8000)
    file = tmp_path / "b" / "11.flac"
    whole = file.read_bytes()
    middle = len(whole) // 2
    file.write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
    schema = SIGNAL.sniff(tmp_path)
    assert schema.rows == 23 and schema.options["skipped"] == 1 and "b/11.flac" in schema.column("signal").note
    assert decode(tmp_path, schema).rows == 23
    inputs = schema.without("label")
    with pytest.raises(DataError, match=r"b/11\.flac: not a FLAC file that can be read"):
        decode(tmp_path, inputs)
    row = {"signal": base64.b64encode(file.read_bytes()).decode()}
    with pytest.raises(DataError, match="The recording in row 1 cannot be read") as caught:
        decode([row], inputs)
    assert caught.value.holds and caught.value.hint
