"""Backbones: what is known of them without their weights, and that their pieces are the whole."""

from __future__ import annotations

import os
import socket

import numpy as np
import pytest
import tiny
import torch
from metalearner_level2_transfer.backbones import AudioEncoder, ImageEncoder, TextEncoder, known, present
from metalearner_level2_transfer.lists import layers_of

from metalearner import backbones
from metalearner.errors import PluginError

KINDS = {"text": TextEncoder, "pixels": ImageEncoder, "wave": AudioEncoder}
SENTENCES = ("good film", "a very bad plot and awful music so poor", "")


def raw_rows(kind):
    """Three rows as a modality leaves them beside a view."""
    if kind == "text":
        return np.stack([np.frombuffer(t.encode().ljust(60, b"\0"), np.uint8) for t in SENTENCES])
    if kind == "wave":
        noise = np.random.default_rng(0).integers(1, 9000, (3, 4000)).astype(np.int16)
        return noise * (np.arange(4000) < [[4000], [2500], [500]])
    return np.random.default_rng(0).integers(0, 255, (3, 12, 12, 3)).astype(np.uint8)


def through(pretrained, tuned, numbers, raw):
    """Features of rows as they were decoded."""
    return features(pretrained, tuned, pretrained.prepare([raw], numbers), numbers)


def features(pretrained, tuned, given, numbers=None):
    """Features by way of the cut below the last layers."""
    values, mask = torch.tensor(given.values), None if given.mask is None else torch.tensor(given.mask)
    with torch.inference_mode():
        state = pretrained.lower(tuned, numbers).eval()(values, mask)
        return (pretrained.upper(tuned, numbers).eval()(*state) if tuned else state[0]).numpy()


@pytest.mark.parametrize("backbone", present(), ids=lambda b: b.name)
def test_what_ships_is_what_it_says(backbone):
    pretrained, numbers = backbone.load(), {k: r.default for k, r in backbone.space().items()}
    raw = raw_rows(backbone.raw)
    whole = through(pretrained, 0, numbers, raw)
    assert whole.shape == (3, backbone.width)
    layers = getattr(pretrained.net, "_blocks", None) or layers_of(pretrained.net)
    assert len(layers) == backbone.layers
    assert sum(p.numel() for p in pretrained.net.parameters()) == pytest.approx(backbone.parameters, rel=1e-3)
    for tuned in (1, backbone.layers // 2, backbone.layers):
        np.testing.assert_allclose(through(pretrained, tuned, numbers, raw), whole, atol=2e-5)


def test_what_ships_needs_no_network_and_has_a_licence():
    assert {b.name for b in known()} >= {"minilm-l6", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"}
    assert all(b.licence and b.origin and len(b.identity()) >= 64 for b in present())


@pytest.mark.parametrize(
    "make", [tiny.bert, tiny.distilbert, tiny.vit, tiny.convnext, tiny.wav2vec2], ids=lambda f: f.__name__
)
def test_models_of_transformers_in_a_folder(make, tmp_path):
    folder = make(tmp_path / "model")
    backbone = KINDS[backbones.looked_at(folder)]("mine", folder)
    pretrained, numbers = backbone.load(), {k: r.default for k, r in backbone.space().items()}
    raw = raw_rows(backbone.raw)
    whole = through(pretrained, 0, numbers, raw)
    assert whole.shape == (3, backbone.width) and backbone.layers == 2 and not backbone.missing()
    for tuned in (1, 2):
        np.testing.assert_allclose(through(pretrained, tuned, numbers, raw), whole, atol=1e-5)
        upper = pretrained.upper(tuned, numbers)
        trained = {id(p) for layer in upper.layers for p in layer.parameters()}
        assert {id(p) for p in upper.parameters() if p.requires_grad} == trained


def test_a_row_is_read_alike_in_any_company(tiny_bert):
    pretrained = TextEncoder("mine", tiny_bert).load()
    raw = raw_rows("text")
    together = through(pretrained, 0, {"length": 64}, raw)
    alone = np.concatenate([through(pretrained, 0, {"length": 64}, raw[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_long_texts_are_read_by_windows(tiny_bert):
    pretrained = TextEncoder("mine", tiny_bert).load()
    text = ("good " * 400 + "bad " * 400).encode()
    raw = np.frombuffer(text, np.uint8)[None]
    short, long = (through(pretrained, 0, {"length": n}, raw) for n in (256, 1024))
    assert np.abs(short - long).max() > 1e-3  # what comes late is heard
    for tuned in (1, 2):  # of layers that are tuned, too
        np.testing.assert_allclose(through(pretrained, tuned, {"length": 1024}, raw), long, atol=1e-5)


def test_of_two_texts_the_encoder_knows_which_is_which(tiny_bert, tmp_path):
    raw, numbers = [raw_rows("text"), raw_rows("text")], {"length": 64, "segments": True}
    pretrained = TextEncoder("mine", tiny_bert).load()
    told, plain = (pretrained.prepare(raw, n) for n in (numbers, {"length": 64}))
    assert told.values.shape[2] == 2 and plain.values.shape[2] == 1
    assert set(np.unique(told.values[told.mask][:, 1])) == {0, 1}
    found = [features(pretrained, tuned, given) for tuned in (1, 2) for given in (told, plain)]
    np.testing.assert_allclose(found[0], found[2], atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-3
    other = TextEncoder("other", tiny.distilbert(tmp_path / "model")).load()  # which has no such embeddings
    assert other.prepare(raw, numbers).values.shape[2] == 1


def test_the_stages_of_a_convolutional_network_are_its_layers(tmp_path):
    backbone = ImageEncoder("mine", tiny.convnext(tmp_path / "model", (1, 1, 5, 1)))
    pretrained = backbone.load()
    stages = [type(layer).__name__ for layer in layers_of(pretrained.net)]
    assert stages == ["ConvNextStage"] * backbone.layers == ["ConvNextStage"] * 4
    trained = [name for name, p in pretrained.upper(1, {"size": 16}).named_parameters() if p.requires_grad]
    assert trained and all(".stages.3." in name for name in trained)


def test_short_recordings_are_tuned_on_by_no_chance_but_the_seed(tmp_path):
    pretrained = AudioEncoder("mine", tiny.wav2vec2(tmp_path / "model")).load()
    given = pretrained.prepare([raw_rows("wave")[2:]], {"seconds": 4})  # 500 samples: fewer than ten frames
    upper = pretrained.upper(2, {"seconds": 4}).train()
    said = []
    for seed in (0, 1):
        np.random.seed(seed)
        torch.manual_seed(0)
        said.append(upper(torch.tensor(given.values), torch.tensor(given.mask)).detach())
    assert torch.equal(*said)


@pytest.mark.parametrize("make", [tiny.bert, tiny.vit, tiny.wav2vec2], ids=lambda f: f.__name__)
def test_weights_are_read_without_the_network_and_others_may_still_ask_it(make, tmp_path, monkeypatch):
    def refused(*_):
        asked.append(1)
        raise OSError

    asked = []
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)
    folder = make(tmp_path / "model")
    KINDS[backbones.looked_at(folder)]("mine", folder).load()
    assert not asked and "HF_HUB_OFFLINE" not in os.environ


@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "tokenizer_config.json"])
def test_who_a_model_is_says_more_than_its_weights(name, tmp_path):
    folder = tiny.bert(tmp_path / "model")
    before = TextEncoder("mine", folder).identity()
    (folder / name).write_text((folder / name).read_text() + " ")
    after = TextEncoder("mine", folder).identity()
    assert before != after and before[:64] == after[:64]


def test_weights_of_another_shape_are_named(tmp_path):
    folder = tiny.bert(tmp_path / "model")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"hidden_size": 32', '"hidden_size": 64'))
    with pytest.raises(PluginError, match="mine"):
        TextEncoder("mine", folder).load()
