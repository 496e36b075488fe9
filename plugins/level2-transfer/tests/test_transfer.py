"""The two ways of transfer: they learn, keep what they learnt, and are parts of a run like everything else."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
import tiny
from metalearner_level2_transfer import reading
from metalearner_level2_transfer.backbones import LITES, AudioEncoder, EfficientNetLite, ImageEncoder, TextEncoder
from metalearner_level2_transfer.families import families
from metalearner_level2_transfer.learners import FineTuneLearner, FrozenLearner, Plan
from metalearner_level2_transfer.upper import UpperLayers
from metalearner_level2_transfer.ways import Brief, FineTune, Frozen

import metalearner
from metalearner import backbones, grammar, plugins
from metalearner.arrays import RAW, Fold, Tensor
from metalearner.errors import BundleError, Pruned
from metalearner.home import home
from metalearner.kinds import Aim, Rung
from metalearner.outputs import METRICS, OUTPUTS
from metalearner.records import Axis, Config, View
from metalearner.testing import check_production
from metalearner.train.productions import Gradient

OUTPUT, METRIC = {o.name: o for o in OUTPUTS}, {m.name: m for m in METRICS}
WORDS = ["film", "plot", "actor", "scene", "music", "story", "the", "a", "is", "was", "very", "so", "and", "of", "to"]


def sentences(n, seed=0):
    """Random words with one that tells."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, n)
    told = (("bad", "poor", "awful"), ("good", "fine", "great"))
    found = []
    for t in target:
        words = list(rng.choice(WORDS, 6))
        words.insert(int(rng.integers(7)), str(rng.choice(told[t])))
        found.append(" ".join(words))
    return found, target


def packed(texts):
    width = max(len(t) for t in texts)
    return np.stack([np.frombuffer(t.encode().ljust(width, b"\0"), np.uint8) for t in texts])


def text_fold(n=240, seed=0):
    texts, target = sentences(n, seed)
    raw, marks = packed(texts), np.zeros((n, 4, 1), np.float32)
    cut = n * 3 // 4
    views = {"text": View((Axis("columns", 4),), 1, raw="text")}
    sides = [{"text": Tensor(marks[part]), "text" + RAW: Tensor(raw[part])} for part in (slice(cut), slice(cut, n))]
    return Fold(0, views, sides[0], target[:cut], sides[1], target[cut:])


def picture_fold(n=80):
    """Light upper halves against light lower ones, grey."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, n)
    pixels = rng.integers(0, 60, (n, 16, 16, 1))
    for image, t in zip(pixels, target):
        image[8 * t : 8 * t + 8] += 150
    raw = pixels.astype(np.uint8)
    views = {"image": View((Axis("space", 16), Axis("space", 16)), 1, raw="pixels")}
    cut = n * 3 // 4
    sides = [
        {"image": Tensor(raw[p].astype(np.float32) / 255), "image" + RAW: Tensor(raw[p])}
        for p in (slice(cut), slice(cut, n))
    ]
    return Fold(0, views, sides[0], target[:cut], sides[1], target[cut:])


def wave_fold(n=60):
    """Short recordings, of a high tone or a low one."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, n)
    tones = np.sin(np.arange(2400) * (0.05 + 0.3 * target[:, None]) + rng.uniform(0, 6, (n, 1)))
    raw = (8000 * tones + rng.normal(0, 300, tones.shape)).astype(np.int16) * (
        np.arange(2400) < rng.integers(900, 2400, (n, 1))
    )
    views = {"signal": View((Axis("time", 10),), 4, raw="wave")}
    spectra = np.zeros((n, 10, 4), np.float32)
    cut = n * 3 // 4
    sides = [{"signal": Tensor(spectra[p]), "signal" + RAW: Tensor(raw[p])} for p in (slice(cut), slice(cut, n))]
    return Fold(0, views, sides[0], target[:cut], sides[1], target[cut:])


def aim_of(output="classification", target=(0, 1)):
    state = OUTPUT[output].fit(
        np.asarray([str(t) for t in target]) if output == "classification" else np.asarray(target)
    )
    return Aim(OUTPUT[output], state, METRIC["accuracy" if output == "classification" else "r2"], plugins.load())


@pytest.fixture
def tiny_here(tiny_bert):
    backbones.add(str(tiny_bert), name="tiny")


def frozen(head, backbone="tiny", **numbers):
    return Config("frozen", numbers, {"backbone": (Config(backbone),), "learner": (head,)})


def tuned(recipe=None, backbone="tiny", **way):
    brief = {"epochs": 12, "lr": 5e-3, "batch_size": 16} | (recipe or {})
    return Config("fine-tune", way, {"backbone": (Config(backbone),), "recipe": (Config("brief", brief),)})


def fit(config, fold, aim, rung=None):
    learner = {"frozen": FrozenLearner, "fine-tune": FineTuneLearner}[config.production]()
    return next(iter(learner.fit([config], [fold], aim, rung or Rung(), [None])))


def score(fitted, fold, aim):
    return aim.score(fitted.models[0].predict(fold.valid), fold.valid_target)


HEADS = [Config("linear", {"penalty": 0.1}), Config("kernel-ridge"), Config("neighbours"), Config("trees")]


@pytest.mark.parametrize("head", HEADS, ids=lambda c: c.production)
def test_a_head_learns_from_frozen_features(head, tiny_here, tmp_path):
    fold, aim = text_fold(), aim_of()
    fitted = fit(frozen(head), fold, aim)
    assert score(fitted, fold, aim) > 0.75
    _kept(fitted, FrozenLearner(), fold, aim, tmp_path)


WAYS = [
    {"share": 0.5, "rate": 1.0}, {"share": 1.0, "rate": 1.0, "decay": 0.6}, {"share": 0.5, "method": "lora", "rate": 1.0},
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=["half", "whole", "lora"])
def test_layers_are_tuned(way, tiny_here, tmp_path):
    fold, aim = text_fold(), aim_of()
    fitted = fit(tuned({"epochs": 20, "lr": 2e-2}, **way), fold, aim)  # weights by chance have much to learn
    assert score(fitted, fold, aim) > 0.85
    _kept(fitted, FineTuneLearner(), fold, aim, tmp_path)


def _kept(fitted, learner, fold, aim, folder):
    """What is saved predicts the same, of rows in any company."""
    model = fitted.models[0]
    model.save(folder)
    said = model.predict(fold.valid)
    again = learner.load(folder, aim)
    np.testing.assert_array_equal(said, again.predict(fold.valid))
    none = {name: tensor.take(np.arange(0)) for name, tensor in fold.valid.items()}
    assert again.predict(none).shape == (0, said.shape[1])
    few = {name: tensor.take(np.arange(3)) for name, tensor in fold.valid.items()}
    np.testing.assert_allclose(again.predict(few), said[:3], atol=2e-2)  # bfloat16 where the CPU has it


@pytest.mark.parametrize("config", [frozen(Config("linear"), "efficientnet-lite0"), tuned(None, "efficientnet-lite0", share=0.1)],
                         ids=["frozen", "tuned"])  # fmt: skip
def test_grey_pictures_of_any_size_are_read(config, tmp_path):
    fold, aim = picture_fold(), aim_of()
    small = {"size": 96}
    config = Config(
        config.production, config.numbers, {**config.parts, "backbone": (Config("efficientnet-lite0", small),)}
    )
    fitted = fit(config, fold, aim)
    assert score(fitted, fold, aim) > 0.9
    _kept(fitted, FrozenLearner() if config.production == "frozen" else FineTuneLearner(), fold, aim, tmp_path)


def test_numbers_are_learnt_too(tiny_here):
    fold = text_fold()
    texts = [row.tobytes().rstrip(b"\0").decode() for row in fold.train["text" + RAW].values]
    length = np.array([len(t.split()) + 3.0 * ("good" in t) for t in texts])
    fold = Fold(0, fold.views, fold.train, length, fold.valid, fold.valid_target.astype(float))
    fitted = fit(frozen(Config("linear")), fold, aim_of("regression", length))
    assert np.isfinite(fitted.models[0].predict(fold.valid)).all()


def pair_fold():
    """Two texts a row, which say the same."""
    fold = text_fold()
    views = {"text 1": fold.views["text"], "text 2": fold.views["text"]}
    sides = []
    for side in (fold.train, fold.valid):
        both = {}
        for name in views:
            both |= {name: side["text"], name + RAW: side["text" + RAW]}
        sides.append(both)
    return Fold(0, views, sides[0], fold.train_target, sides[1], fold.valid_target)


def test_a_pair_of_texts_is_compared(tiny_here):
    pair, aim = pair_fold(), aim_of()
    for config in (frozen(Config("linear")), tuned({"epochs": 2})):
        fitted = fit(config, pair, aim)
        assert np.isfinite(fitted.models[0].predict(pair.valid)).all()
    seen = fit(frozen(Config("linear")), pair, aim).models[0].seen
    assert seen["text pair"].axes[0].size == 64


def test_a_pair_is_predicted_however_few_rows_are_remembered(tiny_here, monkeypatch):
    pair, aim = pair_fold(), aim_of()
    pair.valid["text 2" + RAW] = Tensor(packed(sentences(60, seed=1)[0]))
    model = fit(frozen(Config("linear")), pair, aim).models[0]
    said = model.predict(pair.valid)
    reading._stores.clear()
    shutil.rmtree(home() / "features")
    monkeypatch.setattr(reading, "MANY", 10)
    np.testing.assert_array_equal(model.predict(pair.valid), said)
    few = {name: tensor.take(np.arange(3)) for name, tensor in pair.valid.items()}
    model.predict(few)
    (store,) = reading._stores.values()
    assert len(store.passing) <= 6


def test_older_bundles_are_read_as_they_were_made(tiny_here, tmp_path):
    """They named the weights alone, and what was tuned on two texts did not see which is which."""
    pair, aim = pair_fold(), aim_of()
    model = replace(fit(tuned({"epochs": 1}), pair, aim).models[0], segments=False)
    model.save(tmp_path)
    about = json.loads((tmp_path / "transfer.json").read_text())
    del about["segments"]
    about["weights"] = {name: digest[:64] for name, digest in about["weights"].items()}
    (tmp_path / "transfer.json").write_text(json.dumps(about))
    again = FineTuneLearner().load(tmp_path, aim)
    np.testing.assert_array_equal(again.predict(pair.valid), model.predict(pair.valid))
    assert np.abs(again.predict(pair.valid) - replace(again, segments=True).predict(pair.valid)).max() > 1e-5


def test_what_lies_beside_goes_along_when_it_is_asked_for(tiny_here):
    fold, aim = text_fold(), aim_of()
    assert set(fit(frozen(Config("linear")), fold, aim).models[0].seen) == {"text"}
    assert set(fit(frozen(Config("linear"), beside=True), fold, aim).models[0].seen) == {"text", "text beside"}


def test_lower_layers_learn_more_slowly(tiny_here):
    aim = aim_of()
    plan = Plan.of(tuned(share=1.0, rate=0.1, decay=0.5), text_fold().views, aim)
    built = UpperLayers(plan.readings[0].backbone, 2, plan.readings[0].numbers, plan.way).build({}, View((), 1), {})
    shares = sorted({p.share for p in built.parameters() if p.requires_grad})
    assert shares == pytest.approx([0.05, 0.1])


def built(backbone, **way):
    """All layers of a backbone, to be tuned."""
    numbers = {k: r.default for k, r in FineTune().space().items()} | {"rate": 0.1, "decay": 0.5} | way
    own = {k: r.default for k, r in backbone.space().items()}
    return UpperLayers(backbone, backbone.layers, own, numbers).build({}, View((), 1), {})


def test_what_lies_below_the_layers_learns_slowest(tmp_path):
    lite = EfficientNetLite(LITES[0])
    net = built(lite).upper
    assert {p.share for p in net.ends._conv_stem.parameters()} == {0.1 * 0.5**16}
    assert {p.share for p in net.ends._conv_head.parameters()} == {0.1}
    for make, kind in ((tiny.bert, TextEncoder), (tiny.vit, ImageEncoder), (tiny.wav2vec2, AudioEncoder)):
        backbone = kind("mine", make(tmp_path / make.__name__))
        below = set(built(backbone).upper.below)
        assert not any(p.requires_grad for p in below)
        net = built(backbone, below=True).upper
        assert all(p.requires_grad for p in net.parameters())
        assert {p.share for p in net.below} == {0.1 * 0.5**2} and len(net.below) == len(below)


FOLDS = {"text": text_fold, "pixels": picture_fold, "wave": wave_fold}


@pytest.mark.parametrize("make", [tiny.bert, tiny.vit, tiny.convnext, tiny.wav2vec2], ids=lambda f: f.__name__)
def test_every_kind_of_model_is_tuned_in_full(make, tmp_path):
    raw = backbones.add(str(make(tmp_path / "model")), name="tiny").raw
    fold, aim = FOLDS[raw](), aim_of()
    recipe = {"epochs": 1, "augment": 0.5, "mixup": 0.4, "flip": True, "policy": "random-1"}
    fitted = fit(tuned(recipe, share=1.0, below=True), fold, aim)
    assert fitted.facts["epochs"] == 1
    (tmp_path / "saved").mkdir()
    _kept(fitted, FineTuneLearner(), fold, aim, tmp_path / "saved")


def test_what_is_tuned_on_is_changed_as_what_it_is(tmp_path):
    """Samples of sound are moved, not left out; pictures that come as they are have colours; words are never mixed."""
    for name, make in (("sound", tiny.wav2vec2), ("seen", tiny.vit), ("tiny", tiny.bert)):
        backbones.add(str(make(tmp_path / name)), name=name)
    folds = {"sound": wave_fold(), "seen": picture_fold(), "tiny": text_fold(), "efficientnet-lite0": picture_fold()}
    aim, seen, mixed = aim_of(), {}, {}
    for name, fold in folds.items():
        config = tuned({"mixup": 0.2}, name, share=0.5)
        plan = Plan.of(config, fold.views, aim)
        few = {k: t.take(np.arange(4)) for k, t in fold.train.items()}
        plan.read(few)
        (seen[name],) = plan.views(fold.views, plan.tensors(few)).values()
        mixed[name] = plan.inner.parts["recipe"][0].numbers["mixup"]
    assert {name: view.kinds for name, view in seen.items()} == {
        "sound": ("time",), "seen": ("space", "space"), "tiny": ("tokens",), "efficientnet-lite0": ("space", "space"),
    }  # fmt: skip
    assert {name for name, view in seen.items() if view.channel_kind == "colours"} == {"seen"}
    assert mixed == {"sound": 0.2, "seen": 0.2, "tiny": 0.0, "efficientnet-lite0": 0.2}


def test_lora_trains_little_and_needs_attention(tiny_here):
    aim = aim_of()
    plan = Plan.of(tuned(share=0.5, method="lora", rank=2), text_fold().views, aim)
    built = UpperLayers(plan.readings[0].backbone, 1, plan.readings[0].numbers, plan.way).build({}, View((), 1), {})
    trained = [p for p in built.parameters() if p.requires_grad]
    assert len(trained) == 4 and all(2 in p.shape for p in trained)
    lite = EfficientNetLite(LITES[0])
    with pytest.raises(Pruned, match="attention"):
        UpperLayers(lite, 1, {"size": 96}, plan.way).build({}, View((), 1), {})


def test_too_little_time_is_said_and_what_was_read_stays(tiny_here):
    fold, aim = text_fold(2000), aim_of()
    with pytest.raises(Pruned, match="read"):
        fit(frozen(Config("linear")), fold, aim, Rung(deadline=time.monotonic() + 0.02))
    fitted = fit(frozen(Config("linear")), fold, aim)
    assert not fitted.facts["stopped_early"] and sum(fitted.facts["row_shared"].values()) > 0


def test_other_weights_are_not_taken_for_the_same(tiny_here, tmp_path):
    fold, aim = text_fold(), aim_of()
    (tmp_path / "saved").mkdir()
    fit(frozen(Config("linear")), fold, aim).models[0].save(tmp_path / "saved")
    backbones.remove("tiny")
    backbones.add(str(tiny.bert(tmp_path / "other", seed=1)), name="tiny")
    with pytest.raises(BundleError, match="not those that the model was made with"):
        FrozenLearner().load(tmp_path / "saved", aim_of())


def test_pictures_are_changed_in_the_ways_that_networks_from_scratch_have():
    ours, theirs = Brief().space(), Gradient().space()
    assert ours["policy"] == theirs["policy"] and max(ours["mixup"].options) == theirs["mixup"].high
    assert {name: ours[name].default for name in ("policy", "mixup")} == {"policy": "basic", "mixup": 0.0}  # as before


@pytest.mark.parametrize("production", [Frozen(), FineTune(), Brief()], ids=lambda p: p.name)
def test_productions(production):
    check_production(production, View((Axis("columns", 4),), 1))


def test_presets_are_whole():
    registry = plugins.load()
    for family in families([b for b in registry.productions.values() if b.symbol == "backbone"]):
        for preset in family.presets:
            assert not grammar.check(preset, registry.productions), family.name


def test_a_run_from_words_to_predictions(tiny_here, tmp_path):
    texts, target = sentences(300)
    rows = [{"text": t, "mood": ("low", "high")[y]} for t, y in zip(texts, target)]
    import pandas as pd

    found = metalearner.fit(
        pd.DataFrame(rows), "predict mood", budget="8trials", families=("tiny-linear", "tiny-tuned"), workers=1,
        out=tmp_path / "run",
    )  # fmt: skip
    assert found.scorecard.value > 0.8
    families_tried = {t.proposal.family for t in found.trials if t.outcome == "ok"}
    assert families_tried == {"tiny-linear", "tiny-tuned"}
    bundle = metalearner.open_bundle(tmp_path / "run" / "bundle")
    said = bundle.predict([{"text": "a great film"}, {"text": "an awful film"}])
    assert said["prediction"].tolist() == ["high", "low"]
