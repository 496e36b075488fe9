"""Networks over words: the order of words is what n-grams of one word cannot see."""

from __future__ import annotations

import numpy as np
import pytest
from metalearner_modality_text.marks import TextMarks
from metalearner_modality_text.symbols import FAMILIES, FIRST, UNKNOWN, TextNetLearner, read, vocabulary
from metalearner_modality_text.texts import packed, raw

from metalearner import plugins
from metalearner.arrays import RAW, Fields, Tensor
from metalearner.dataset import Dataset
from metalearner.kinds import Aim, Rung
from metalearner.outputs import METRICS, OUTPUTS
from metalearner.records import Column, Config, DatasetCard, Schema, Task

OUTPUT, METRIC = {o.name: o for o in OUTPUTS}, {m.name: m for m in METRICS}
FILLING = [f"{a}{b}" for a in ("ba", "ke", "lo") for b in ("ra", "st", "ton")]


def ordered(n, seed=0):
    """ "not good" against "good not": the same words, another order, a few words apart from anything else."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, n)
    texts = []
    for t in target:
        words = list(rng.choice(FILLING, 6))
        at = int(rng.integers(6))
        words[at:at] = ["not", "good"] if t else ["good", "not"]
        texts.append(" ".join(words))
    return texts, np.array(["no", "yes"])[target]


def prepared(texts, target):
    schema = Schema("text", "x", len(texts), (Column("text", "text"),))
    state = OUTPUT["classification"].fit(target)
    encoded = OUTPUT["classification"].encode(state, target)
    part = np.arange(len(texts)) % 4
    folds = ((np.flatnonzero(part > 0), np.flatnonzero(part == 0)),)
    card, fields = DatasetCard("x", "x", "text", len(texts), "hash"), Fields({"text": packed(texts)})
    task = Task("", "text", "y", "classification", "accuracy")
    dataset = Dataset(card, task, schema, Column("y", "category"), state, fields, encoded, folds, np.zeros(0, int))
    return dataset.fold(0, TextMarks()), Aim(OUTPUT["classification"], state, METRIC["accuracy"], plugins.load())


def test_words_become_numbers():
    tensors = {
        "text" + RAW: raw(packed(["good film", "", "odd film film"]), 100),
        "text": Tensor(np.zeros((3, 1, 1), np.float32)),
    }
    found = read(tensors, ["text"], ("film", "good"), 4)["symbols"]
    assert found.values[:, :, 0].tolist() == [[FIRST + 1, FIRST, 0, 0], [UNKNOWN, 0, 0, 0], [UNKNOWN, FIRST, FIRST, 0]]
    assert found.mask.sum(1).tolist() == [2, 1, 3]
    assert vocabulary([["a"], ["a", "b"]], 5) == ("a",)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_the_order_of_words_is_learnt_and_kept(family, tmp_path):
    fold, aim = prepared(*ordered(600))
    preset = family.presets[0]
    recipe = Config("gradient", {**preset.parts["recipe"][0].numbers, "lr": 5e-3, "epochs": 25, "patience": 25})
    config = Config(preset.production, preset.numbers, {**preset.parts, "recipe": (recipe,)})
    (fitted,) = TextNetLearner().fit([config], [fold], aim, Rung(), [None])
    model = fitted.models[0]
    said = model.predict(fold.valid)
    assert aim.score(said, fold.valid_target) > 0.9
    model.save(tmp_path)
    again = TextNetLearner().load(tmp_path, aim)
    np.testing.assert_array_equal(again.predict(fold.valid), said)
    few = {name: tensor.take(np.arange(3)) for name, tensor in fold.valid.items()}
    np.testing.assert_allclose(again.predict(few), said[:3], atol=1e-5)
