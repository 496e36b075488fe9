"""MetaClassifier and MetaRegressor keep scikit-learn's contract, and fits in the caller's own process."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import metalearner
from metalearner.estimators import MetaClassifier, MetaRegressor
from metalearner.knowledge import Base

pytestmark = pytest.mark.one_home
# A hundred checks fit some two hundred times. What families are like is for other tests: these are the quick ones.
QUICK = ("linear", "kernel-ridge")
CLASSIFIER, REGRESSOR = MetaClassifier("3trials", families=QUICK), MetaRegressor("3trials", families=QUICK)


@pytest.fixture(scope="module")
def penguins():
    frame = pd.read_csv("datasets/penguins/penguins.csv").dropna(subset="sex").sample(90, random_state=0)
    return frame.drop(columns="sex"), frame["sex"]


@pytest.fixture(scope="module")
def fitted(home_of_all, penguins):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METALEARNER_HOME", str(home_of_all))
        return MetaClassifier("3trials", families=QUICK).fit(*penguins)


@parametrize_with_checks([CLASSIFIER, REGRESSOR])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([MetaClassifier("3trials"), MetaRegressor("3trials")])
def test_scikit_learns_own_checks_with_every_family(estimator, check):
    check(estimator)


def test_the_package_is_light_until_an_estimator_is_asked_for():
    code = """
import sys, metalearner
assert not {"torch", "sklearn", "pandas", "numpy"} & set(sys.modules), sorted(sys.modules)
assert metalearner.MetaClassifier.__name__ == "MetaClassifier" and not hasattr(metalearner, "MetaTransformer")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_frame_of_numbers_words_and_gaps_is_read_as_it_is(fitted, penguins):
    inputs, sex = penguins
    assert list(fitted.classes_) == ["female", "male"] and list(fitted.feature_names_in_) == list(inputs.columns)
    assert fitted.run_.task.target == "target" and {"female", "male"} == set(fitted.bundle_.predictor.state["classes"])
    assert fitted.score(inputs, sex) > 0.8
    unseen = inputs.assign(island="Atlantis", body_mass_g=np.nan)
    assert np.allclose(fitted.predict_proba(unseen).sum(axis=1), 1)


def test_every_row_is_learnt_from_and_nothing_is_sealed(fitted, penguins):
    assert fitted.run_.scorecard.split == "out of fold" and fitted.run_.scorecard.rows == len(penguins[1])


def test_probabilities_stand_in_the_order_of_the_classes():
    """Classes of numbers that sort otherwise as words, and one that is written like a gap."""
    inputs, kind = load_iris(return_X_y=True)
    for classes in (np.array([10, 9, -1]), np.array(["NA", "b", "a"])):
        model = clone(CLASSIFIER).fit(inputs[::3], classes[kind[::3]])
        likeliest = model.classes_[model.predict_proba(inputs).argmax(axis=1)]
        assert list(model.classes_) == sorted(classes) and np.mean(likeliest == classes[kind]) > 0.9
        assert np.array_equal(likeliest, model.predict(inputs))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_predicts_when_the_original_and_its_folder_are_gone(penguins, copied):
    inputs, sex = penguins
    model = clone(CLASSIFIER).set_params(budget="1trials").fit(inputs, sex)
    before, folder = model.predict_proba(inputs), model.run_.folder
    other = copied(model)
    del model
    assert not folder.exists() and not hasattr(other, "run_")
    assert np.array_equal(other.predict_proba(inputs), before)


def test_pipelines_cross_validation_and_searches_over_parameters_take_them():
    inputs, amount = load_diabetes(return_X_y=True, as_frame=True)
    inputs, amount = inputs[:150], amount[:150]
    scaled = make_column_transformer((StandardScaler(), ["bmi", "bp"]), remainder="passthrough")
    scores = cross_val_score(make_pipeline(scaled, clone(REGRESSOR)), inputs, amount, cv=3)
    assert scores.mean() > 0.2
    search = GridSearchCV(clone(REGRESSOR), {"families": [("linear",), ("kernel-ridge",)]}, cv=2).fit(inputs, amount)
    assert {t.proposal.family for t in search.best_estimator_.run_.trials} == set(search.best_params_["families"])
    assert min(search.cv_results_["mean_test_score"]) > 0.2


def test_whole_numbers_are_an_amount_to_one_and_classes_to_the_other():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(60, 3))
    stars = np.clip(np.round(inputs[:, 0] + 3), 1, 5)
    assert clone(REGRESSOR).fit(inputs, stars).run_.task.metric == "r2"
    assert list(clone(CLASSIFIER).fit(inputs, stars).classes_) == sorted(set(stars))


def test_knowledge_is_added_to_when_asked_alone(own_home, penguins):
    def records():
        with Base.open(own_home) as base:
            return base.stats()["records"]

    before = records()
    clone(CLASSIFIER).set_params(budget="1trials").fit(*penguins)
    assert records() == before
    clone(CLASSIFIER).set_params(budget="1trials", learn=True, random_state=7).fit(*penguins)
    assert records() == before + 1


def test_a_named_folder_keeps_the_run(tmp_path, penguins):
    model = clone(CLASSIFIER).set_params(budget="1trials", out=tmp_path / "run").fit(*penguins)
    again = metalearner.open_bundle(tmp_path / "run" / "bundle").predict(penguins[0])
    assert list(again["prediction"]) == list(model.predict(penguins[0]))
    with pytest.raises(ValueError, match="holds a finished run"):
        clone(model).fit(*penguins)


def test_what_cannot_be_learnt_from_is_said_in_three_parts():
    with pytest.raises(ValueError, match=r"^Only 4 rows have a known 'target'\.\nAt least 6 are needed to learn\.\n"):
        clone(CLASSIFIER).fit(np.eye(4), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="Budget 'soon' is not understood"):
        MetaClassifier("soon").fit(*load_iris(return_X_y=True))
    with pytest.raises(ValueError, match="infinity"):
        clone(CLASSIFIER).fit(pd.DataFrame({"x": [1.0, np.inf], "word": ["a", "b"]}), [0, 1])
    with pytest.raises(ValueError, match=r"Unknown family 'linnear'\. Did you mean 'linear'\?"):
        clone(CLASSIFIER).set_params(families=("linnear",)).fit(*load_iris(return_X_y=True))


def test_the_default_keeps_the_promise_of_seconds_by_processes_of_their_own():
    assert MetaClassifier()._request(pd.DataFrame({"y": [0]}), "y", None).executor == "local"
    assert CLASSIFIER._request(pd.DataFrame({"y": [0]}), "y", None).executor == "inline"
    assert MetaClassifier().__sklearn_tags__().non_deterministic and not CLASSIFIER.__sklearn_tags__().non_deterministic


def test_fits_leave_the_callers_random_numbers_and_threads_alone(penguins):
    import torch

    threads = torch.get_num_threads()
    torch.manual_seed(0)
    first = torch.rand(1)
    torch.manual_seed(0)
    MetaClassifier("1trials", families=("mlp",)).fit(*penguins)
    assert torch.equal(torch.rand(1), first) and torch.get_num_threads() == threads


def test_a_column_that_gives_the_target_away_is_learnt_from():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = np.where(X[:, 1] > 0, "up", "down")
    model = MetaClassifier(budget="2trials", families=("trees",), random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95, "who calls an estimator has chosen the columns"


def test_columns_may_have_any_names():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({" a": rng.normal(size=120), "b*": rng.normal(size=120), "c ": rng.normal(size=120)})
    y = np.where(X[" a"] > 0, "up", "down")
    assert MetaClassifier(budget="1trials", families=("trees",), random_state=0).fit(X, y).score(X, y) > 0.9
