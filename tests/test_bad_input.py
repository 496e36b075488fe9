"""What cannot be used, of every kind of data, in one table: a message in three parts, or rows that are left out and counted.

Tables of numbers have a table of their own in plugins/modality-tabular/tests.
"""

from __future__ import annotations

import io
import json
import struct
import time
import tracemalloc
import wave
from base64 import b64encode
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import metalearner
from metalearner import backbones, plugins
from metalearner.data.prepare import Split, prepare
from metalearner.data.read import read
from metalearner.deploy import Bundle
from metalearner.errors import UserError
from metalearner.task import Wish, find_target, formulate

GOOD = 20  # sound rows of each of two classes
SECONDS, MEGABYTES = 20.0, 400.0  # what any case may take


# Pictures


def png(seed: int = 0, side: int = 12, suffix: str = "PNG") -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8)).save(out, suffix)
    return out.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that claims 60,000 x 60,000 pixels."""
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


# Recordings


def sound(seed: int = 0, rate: int = 8000, samples: int = 2000) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(rate)
        opened.writeframes(np.random.default_rng(seed).integers(-9999, 9999, samples, dtype="<i2").tobytes())
    return out.getvalue()


def at_rate(rate: int, samples: int = 2000) -> bytes:
    """A recording whose header claims that rate, whatever it is."""
    whole = bytearray(sound(7, samples=samples))
    whole[24:28] = struct.pack("<I", rate)
    return bytes(whole)


def flac(seed: int = 0) -> bytes:
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, np.random.default_rng(seed).normal(size=4000) * 0.1, 8000, format="FLAC")
    return out.getvalue()


def files(name: str, good, *bad: bytes):  # type: ignore[no-untyped-def]
    """Class folders of sound files, and these broken ones beside them."""

    def make(folder: Path) -> Path:
        suffix = Path(name).suffix
        for i in range(2 * GOOD):
            place = folder / "set" / "ab"[i % 2]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{i}{suffix}").write_bytes(good(i))
        for i, content in enumerate(bad):
            (folder / "set" / "ab"[i % 2] / f"bad{i}{suffix}").write_bytes(content)
        return folder / "set"

    return make


# Texts

WORDS = "the film was very good and its plot is bad as every actor in this long story of music"


def sentence(i: int) -> str:
    words = np.random.default_rng(i).permutation(WORDS.split())[:9]
    return " ".join([*words, "good" if i % 2 else "bad"])


def lines(*more: object, label: bool = True, texts: int = 2 * GOOD):  # type: ignore[no-untyped-def]
    """JSON lines with a text and its label, and these cells among the texts."""

    def make(folder: Path) -> Path:
        cells = [*(sentence(i) for i in range(texts)), *more]
        rows = [{"text": cell, "label": "ab"[i % 2]} if label else {"text": cell} for i, cell in enumerate(cells)]
        path = folder / "texts.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return make


def table(*more: str):  # type: ignore[no-untyped-def]
    """The same as CSV."""

    def make(folder: Path) -> Path:
        cells = [*(sentence(i) for i in range(2 * GOOD)), *more]
        path = folder / "texts.csv"
        path.write_text("text,label\n" + "".join(f'"{cell}",{"ab"[i % 2]}\n' for i, cell in enumerate(cells)))
        return path

    return make


def texts(*bad: bytes):  # type: ignore[no-untyped-def]
    return files("x.txt", lambda i: sentence(i).encode(), *bad)


LONG = "a very long story " * 600_000  # 10.8 MB
ROWS = {
    # name: (source, words of the error) or (source, words of what the run tells, rows that are left)
    "a truncated picture": (files("x.png", png, png(99, 64)[:3000]), "1 files could not be read", 40),
    "a truncated JPEG": (
        files("x.jpg", lambda i: png(i, suffix="JPEG"), png(9, 64, "JPEG")[:900]),
        "1 files could",
        40,
    ),
    "a picture that is text": (files("x.png", png, b"not a picture"), "1 files could not be read", 40),
    "an empty picture": (files("x.png", png, b""), "1 files could not be read", 40),
    "a picture of 3.6 billion pixels": (files("x.png", png, bomb()), "1 files could not be read", 40),
    "many truncated pictures": (files("x.png", png, *[png(9, 64)[:3000]] * 5), "5 of 45 images"),
    "no picture at all": (files("x.png", lambda i: b"", *[b""] * 5), "45 of 45 images"),
    "a recording of no bytes": (files("x.wav", sound, b""), "1 files could not be read", 40),
    "a recording without samples": (files("x.wav", sound, sound(0, samples=0)), "1 files could not be read", 40),
    "a recording at 0 Hz": (files("x.wav", sound, at_rate(0)), "1 files could not be read", 40),
    "a recording at 4 GHz": (files("x.wav", sound, at_rate(2**32 - 1)), "1 files could not be read", 40),
    "a recording at 999,983 Hz": (
        files("x.wav", sound, at_rate(999_983, 200_000)),
        "1 of another rate are resampled",
        41,
    ),
    "a recording at 1 Hz": (files("x.wav", sound, at_rate(1)), "1 of another rate are resampled", 41),
    "all recordings at 999,983 Hz": (files("x.wav", lambda i: at_rate(999_983), sound()), "at 999983 Hz", 41),
    "a recording cut short": (files("x.wav", sound, sound()[:1000]), "log-mel", 41),
    "a FLAC file cut short": (files("x.flac", lambda i: flac(), flac()[:60]), "1 files could not be read", 40),
    "many recordings of no bytes": (files("x.wav", sound, *[b""] * 5), "5 of 45 recordings"),
    "empty texts": (lines("", " ", None), "3 texts are empty", 43),
    "empty texts in a CSV": (table("", "  "), "2 texts are empty", 42),
    "empty text files": (texts(b"", b" \n"), "2 texts are empty", 42),
    "no text but empty ones": (files("x.txt", lambda i: b" "), "All 40 text files"),
    "a table with no text but empty ones": (lines(*[""] * 40, texts=0), "beside 'label'"),
    "a text of 10 MB": (lines(LONG), "1 texts are longer than 100,000 characters", 41),
    "a text of 10 MB in a CSV": (table(LONG), "1 texts are longer than 100,000 characters", 41),
    "a text file of 10 MB": (texts(LONG.encode()), "1 texts are longer than 100,000 characters", 41),
    "mixed types in a text column": (lines(3, 2.5, True, {"a": 1}, ["x"], None), "5 cells are no texts", 46),
    "texts without labels": (lines(label=False), "no column beside 'text'"),
}


@pytest.mark.parametrize("case", ROWS)
def test_what_is_broken_is_refused_or_counted(case: str, tmp_path: Path, registry) -> None:  # type: ignore[no-untyped-def]
    make, said, *left = ROWS[case]
    source = make(tmp_path)
    tracemalloc.start()
    began = time.monotonic()
    try:
        if left:
            rows, told = prepared(source, registry, tmp_path / "out")
            assert rows == left[0] and any(said in one for one in told), (rows, told)
        else:
            with pytest.raises(UserError) as caught:
                prepared(source, registry, tmp_path / "out")
            in_three_parts(caught.value, said)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < SECONDS and peak < MEGABYTES, (time.monotonic() - began, peak)


# Rows to predict

PHOTO = 240  # pixels a side: more than is kept


def damaged() -> bytes:
    """A FLAC file with a hole in the middle."""
    whole = flac()
    return whole[: len(whole) // 2] + bytes(64) + whole[len(whole) // 2 + 64 :]


def base64(content: bytes) -> str:
    return b64encode(content).decode()


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):  # type: ignore[no-untyped-def]
    """A tiny model of each kind of data, opened as whoever predicts opens it."""
    # Runs in this process import transformers beside it, which two threads cannot do at once: what tests take of it comes first.
    from transformers import BertConfig, BertModel  # noqa: F401

    sources = {
        "pictures": files("x.png", lambda i: png(i, PHOTO)),
        "recordings": files("x.flac", flac),
        "texts": lines(),
    }

    @cache
    def bundle(kind: str) -> Bundle:
        folder = tmp_path_factory.mktemp(kind)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("METALEARNER_HOME", str(folder / "home"))
            options = {"families": ("linear",), "executor": "inline", "test": "none", "learn": False, "cold": True}
            metalearner.fit(sources[kind](folder), budget="1trials", target="label", out=folder / "run", **options)
        return metalearner.open_bundle(folder / "run" / "bundle")

    return bundle


def placed(name: str, content: bytes):  # type: ignore[no-untyped-def]
    """A folder of two files, the second of which is this."""

    def make(folder: Path) -> Path:
        (folder / "new").mkdir()
        (folder / "new" / f"0{name}").write_bytes(png(0, PHOTO) if name.endswith("png") else flac())
        (folder / "new" / f"1{name}").write_bytes(content)
        return folder / "new"

    return make


def sent(*rows: dict[str, object]):  # type: ignore[no-untyped-def]
    return lambda folder: [*rows]


PHOTOGRAPH, TONE = {"image": base64(png(0, PHOTO))}, {"signal": base64(sound())}
PREDICTED = {
    # name: (kind, rows, words of the error) or (kind, rows, answers)
    "a truncated picture": ("pictures", placed("x.png", png(9, 64)[:3000]), "1x.png"),
    "an empty picture": ("pictures", placed("x.png", b""), "1x.png"),
    "a truncated picture sent": ("pictures", sent(PHOTOGRAPH, {"image": base64(png(9, 64)[:3000])}), "in row 2"),
    "a picture of 3.6 billion pixels sent": ("pictures", sent({"image": base64(bomb())}), "in row 1"),
    "a row without a picture": ("pictures", sent(PHOTOGRAPH, {}), "Row 2 has no column 'image'"),
    "sound pictures": ("pictures", sent(PHOTOGRAPH, {"image": base64(png(1, 7))}), 2),
    "a recording of no bytes": ("recordings", placed("x.flac", b""), "1x.flac: empty file"),
    "a recording without samples": ("recordings", placed("x.wav", sound(0, samples=0)), "1x.wav: no samples"),
    "a recording damaged within": ("recordings", placed("x.flac", damaged()), "1x.flac: not a FLAC file"),
    "a recording of no bytes sent": ("recordings", sent(TONE, {"signal": ""}), "row 2 cannot be read: empty file"),
    "a recording without samples sent": ("recordings", sent({"signal": base64(sound(samples=0))}), "no samples"),
    "a recording damaged within sent": ("recordings", sent({"signal": base64(damaged())}), "not a FLAC file"),
    "sound recordings": ("recordings", sent(TONE, {"signal": base64(flac())}), 2),
    "empty texts": ("texts", sent({"text": ""}, {"text": None}, {"text": " "}, {}), 4),
    "texts that are none": ("texts", sent({"text": 3}, {"text": ["a"]}, {"text": {"a": 1}}), 3),
    "a text of half a character": ("texts", sent({"text": "\ud800"}), 1),
    "a text of 10 MB": ("texts", sent({"text": LONG}, {"text": "good"}), 2),
    "no text column": ("texts", sent({"words": "good"}), "no column 'text'"),
}


@pytest.mark.parametrize("case", PREDICTED)
def test_what_is_broken_is_refused_or_answered_at_prediction(case: str, fitted, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    kind, make, expected = PREDICTED[case]
    bundle = fitted(kind)
    if isinstance(expected, str):
        with pytest.raises(UserError) as caught:
            bundle.predict(make(tmp_path))
        in_three_parts(caught.value, expected)
    else:
        found = bundle.predict(make(tmp_path))
        assert len(found) == expected and set(found["prediction"]) <= {"a", "b"}
        assert np.isfinite(found[["p_a", "p_b"]].to_numpy()).all()


def test_photographs_are_kept_large_and_looked_at_small(fitted) -> None:  # type: ignore[no-untyped-def]
    predictor = fitted("pictures").predictor
    fields = predictor.decode([PHOTOGRAPH])
    assert fields["image"].shape == (1, 224, 224, 3)
    assert predictor.transform.apply(predictor.transforms[0], fields)["image"].values.shape == (1, 64, 64, 3)


def test_a_long_text_is_read_as_its_beginning(fitted) -> None:  # type: ignore[no-untyped-def]
    bundle = fitted("texts")
    whole, cut = (bundle.predict([{"text": text}]) for text in (LONG, LONG[:100_000]))
    assert whole.equals(cut)


# Pretrained models


def model(folder: Path) -> Path:
    """A tiny text encoder as transformers writes it."""
    from transformers import BertConfig, BertModel

    folder = folder / "model"
    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=32,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]))
    return folder


def changed(**more: object):  # type: ignore[no-untyped-def]
    def make(folder: Path) -> str:
        file = model(folder) / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **more}))
        return str(file.parent)

    return make


def pickled(folder: Path) -> str:
    found = model(folder)
    (found / "model.safetensors").rename(found / "pytorch_model.bin")
    return str(found)


def cut_short(folder: Path) -> str:
    file = model(folder) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:400])
    return str(file.parent)


MODELS = {
    "a folder with a pickle": (pickled, False, "may hold a pickle"),
    "weights cut short": (cut_short, False, "is not whole"),
    "weights of another shape": (changed(hidden_size=32), False, "weights of 'model'"),
    "weights of more layers than there are": (changed(num_hidden_layers=3), False, "missing or of another shape"),
    "a model with code of its own": (changed(auto_map={"AutoModel": "code.Model"}), False, "code of its own"),
    "no such folder": (lambda folder: "nowhere", False, "There is no folder 'nowhere'"),
    "a name of the hub without leave to ask it": (
        lambda folder: "owner/name",
        False,
        "There is no folder 'owner/name'",
    ),
    "a name of the hub without a commit": (lambda folder: "owner/name", True, "'' is no commit"),
}


@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_cannot_be_used_is_not_added(case: str, tmp_path: Path) -> None:
    make, network, said = MODELS[case]
    source = make(tmp_path)
    with pytest.raises(UserError) as caught:
        backbones.tried(backbones.add(source, network=network), plugins.load())
    in_three_parts(caught.value, said)
    assert backbones.added() == []


def test_the_hub_is_asked_for_while_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "a" * 40
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError) as caught:
        backbones.add("owner/name", revision=commit, network=True)
    in_three_parts(caught.value, "HF_HUB_OFFLINE is set")


def test_the_hub_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Network is unreachable")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(UserError) as caught:
        backbones.add("owner/name", revision="a" * 40, network=True)
    in_three_parts(caught.value, "could not be fetched: Network is unreachable")
    assert backbones.added() == []


def test_a_sound_model_is_added(tmp_path: Path) -> None:
    added = backbones.add(str(model(tmp_path)))
    backbones.tried(added, plugins.load())
    assert backbones.added() == [added]


def in_three_parts(error: UserError, said: str) -> None:
    """It says what happened with the values, what holds, and what to try."""
    assert said in error.happened, error
    assert error.holds and error.hint, f"a part is missing: {error.happened!r} {error.holds!r} {error.hint!r}"


def prepared(source: Path, registry, folder: Path) -> tuple[int, list[str]]:  # type: ignore[no-untyped-def]
    """Rows that are left, and what the user is told of the data, as `run` does it."""
    reading = read(source, registry.modalities)
    target = find_target(reading.schema, Wish())
    reading = reading.naming(target[0])
    task = formulate(Wish(), reading.schema, target, reading.column(target[0]), registry.outputs, registry.metrics)
    dataset, sealed = prepare(task, reading, registry.get("outputs", task.output), Split(), {}, folder)
    assert dataset.rows + (sealed.rows if sealed else 0) == dataset.card.rows
    return dataset.card.rows, [f"{one.what} {one.done}" for one in dataset.findings]
