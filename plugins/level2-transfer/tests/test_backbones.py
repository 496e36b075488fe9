"""Backbones: what is known of them without their weights, and that their pieces are the whole."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from metalearner_level2_transfer.backbones import AudioEncoder, ImageEncoder, TextEncoder, known, present
from metalearner_level2_transfer.lists import longest_list

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
    """Features by way of the cut below the last layers."""
    given = pretrained.prepare([raw], numbers)
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
    layers = getattr(pretrained.net, "_blocks", None) or longest_list(pretrained.net)
    assert len(layers) == backbone.layers
    assert sum(p.numel() for p in pretrained.net.parameters()) == pytest.approx(backbone.parameters, rel=1e-3)
    for tuned in (1, backbone.layers // 2, backbone.layers):
        np.testing.assert_allclose(through(pretrained, tuned, numbers, raw), whole, atol=2e-5)


def test_what_ships_needs_no_network_and_has_a_licence():
    assert {b.name for b in known()} >= {"minilm-l6", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"}
    assert all(b.licence and b.origin and len(b.identity()) == 64 for b in present())


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


def test_weights_of_another_shape_are_named(tmp_path):
    folder = tiny.bert(tmp_path / "model")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"hidden_size": 32', '"hidden_size": 64'))
    with pytest.raises(PluginError, match="mine"):
        TextEncoder("mine", folder).load()
