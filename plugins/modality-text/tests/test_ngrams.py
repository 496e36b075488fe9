"""n-grams: what each weighting finds, and the contract of a learner."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from metalearner_modality_text.marks import TextMarks
from metalearner_modality_text.ngrams import FAMILY, NGramLearner
from metalearner_modality_text.texts import packed

from metalearner import plugins
from metalearner.arrays import Fields
from metalearner.dataset import Dataset
from metalearner.kinds import Aim, Rung
from metalearner.outputs import METRICS, OUTPUTS
from metalearner.records import Column, Config, DatasetCard, Schema, Task, View
from metalearner.testing import check_learner

OUTPUT, METRIC = {o.name: o for o in OUTPUTS}, {m.name: m for m in METRICS}
WORDS = np.array([f"{a}{b}" for a in ("ba", "ke", "lo", "mi", "nu") for b in ("ra", "st", "ton", "vel", "zi")])


def prepared(texts, target, output):
    """Three folds of these texts."""
    schema = Schema("text", "x", len(texts), (Column("text", "text"),))
    state = OUTPUT[output].fit(np.asarray(target))
    encoded = OUTPUT[output].encode(state, np.asarray(target))
    task = Task("", "text", "y", output, "accuracy" if output == "classification" else "r2")
    part = np.arange(len(texts)) % 3
    folds = tuple((np.flatnonzero(part != i), np.flatnonzero(part == i)) for i in range(3))
    fields = Fields({"text": packed(texts)})
    card = DatasetCard("x", "x", "text", len(texts), "hash")
    dataset = Dataset(card, task, schema, Column("y", "category"), state, fields, encoded, folds, np.zeros(0, int))
    return dataset, Aim(OUTPUT[output], state, METRIC[task.metric], plugins.load())


def sentences(n, rule, seed=0):
    """Random words; a rule says what is true of each sentence."""
    rng = np.random.default_rng(seed)
    drawn = [list(rng.choice(WORDS, 12)) for _ in range(n)]
    return [" ".join(words) for words in drawn], [rule(words) for words in drawn]


def score(numbers, texts, target, output="classification"):
    dataset, aim = prepared(texts, target, output)
    folds = [dataset.fold(i, TextMarks()) for i in range(3)]
    fitted = next(iter(NGramLearner().fit([Config("n-grams", numbers)], folds, aim, Rung(), [None])))
    said = [aim.score(m.predict(f.valid), f.valid_target) for m, f in zip(fitted.models, folds)]
    return float(np.mean(said))


@pytest.mark.parametrize(
    "preset", FAMILY.presets, ids=lambda p: p.numbers.get("weighting", "tf-idf") + str(p.numbers["characters"])
)
def test_one_word_tells(preset):
    texts, target = sentences(300, lambda words: "yes" if "kest" in words else "no")
    assert score(preset.numbers, texts, target) > 0.9


def test_pairs_of_words_tell_what_single_words_cannot():
    def rule(words):
        return "yes" if any(a < b for a, b in pairwise(words) if a.startswith("ba") and b.startswith("ke")) else "no"

    texts, target = sentences(1200, rule)
    pairs = score({"words": 2, "characters": 0, "least": 1}, texts, target)
    assert pairs > score({"words": 1, "characters": 0, "least": 1}, texts, target) + 0.05


def test_parts_of_words_tell_of_words_never_seen():
    rng = np.random.default_rng(0)
    texts = [f"x{i} {'un' if i % 2 else 're'}{''.join(rng.choice(list('bcdfg'), 6))} y{i}" for i in range(300)]
    target = ["odd" if i % 2 else "even" for i in range(300)]
    assert score({"words": 0, "characters": 4}, texts, target) > 0.95
    assert score({"words": 1, "characters": 0}, texts, target) < 0.8


def test_several_classes_and_numbers():
    texts, target = sentences(400, lambda words: "c" if "mira" in words else "b" if "lozi" in words else "a")
    assert score({"words": 1, "characters": 0}, texts, target) > 0.9
    texts, target = sentences(400, lambda words: 2.0 * words.count("mira") - words.count("lozi"))
    assert (
        score({"words": 1, "characters": 0, "weighting": "presence", "penalty": 0.1}, texts, target, "regression") > 0.7
    )


@pytest.mark.parametrize("weighting", ["tf-idf", "naive-bayes", "presence"])
@pytest.mark.parametrize("output", ["classification", "regression"])
def test_conformance(weighting, output):
    texts, target = sentences(120, lambda words: "yes" if "kest" in words else "no")
    if output == "regression":
        target = [float(len(t)) + i / 7 for i, t in enumerate(texts)]
    dataset, aim = prepared(texts, target, output)
    config = Config("n-grams", {"words": 2, "characters": 3, "weighting": weighting})
    check_learner(NGramLearner(), config, dataset, TextMarks(), aim)


def test_texts_without_anything_known_are_still_answered():
    texts, target = sentences(120, lambda words: "yes" if "kest" in words else "no")
    dataset, aim = prepared(["", *texts[1:-1], "今日"], target, "classification")
    folds = [dataset.fold(i, TextMarks()) for i in range(3)]
    fitted = next(iter(NGramLearner().fit([Config("n-grams", {})], folds, aim, Rung(), [None])))
    for model, fold in zip(fitted.models, folds):
        found = model.predict(fold.valid)
        assert np.isfinite(found).all() and np.allclose(found.sum(axis=1), 1.0)


def test_only_views_with_a_text_beside_them_are_taken():
    learner = NGramLearner()
    assert learner.accepts({"text": View((), 1, raw="text")}, OUTPUT["classification"])
    assert not learner.accepts({"text": View((), 1)}, OUTPUT["classification"])
