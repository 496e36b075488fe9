"""Whatever is fitted."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..arrays import Tensors, rows_of
from ..dataset import Dataset
from ..errors import PluginError
from ..kinds import Aim, Learner, Rung, Transform
from ..records import Config


def check_learner(learner: Learner, config: Config, dataset: Dataset, transform: Transform, aim: Aim) -> None:
    """A learner gives one model a fold, the same again for the same seed, and reads back what it saved."""
    folds = [dataset.fold(i, transform) for i in range(len(dataset.folds))]
    assert learner.accepts(folds[0].views, aim.output), f"{learner.name} does not accept {folds[0].views}"
    # A run takes whatever `look` raises for "cannot be told": a bug in it is heard of here alone.
    with suppress(PluginError):
        about = learner.look(config, folds[0].views, aim)
        assert all(np.isfinite(v) for v in about.values() if not isinstance(v, str)), (
            f"not finite before a fit: {about}"
        )
    fitted, again = (next(iter(learner.fit([config], folds, aim, Rung(0.3, seed=3), [None]))) for _ in range(2))
    assert len(fitted.models) == len(folds), "one model a fold"
    for fold, model, twin in zip(folds, fitted.models, again.models):
        prediction = model.predict(fold.valid)
        assert len(prediction) == rows_of(fold.valid) and np.isfinite(prediction).all(), (
            "a prediction is missing or not finite"
        )
        assert np.allclose(prediction, twin.predict(fold.valid), atol=1e-6), "the same seed gives another model"
        first = {k: t.take(np.arange(1)) for k, t in fold.valid.items()}
        assert np.allclose(model.predict(first), prediction[:1], atol=1e-5), "a row's prediction depends on its batch"
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder))
            kept = {f.suffix for f in Path(folder).rglob("*")}
            assert not kept & {".pkl", ".pickle", ".pt", ".joblib"}, f"something was pickled: {kept}"
            revived: Tensors = fold.valid
            assert np.allclose(learner.load(Path(folder), aim).predict(revived), prediction, atol=1e-6), (
                "it predicts otherwise once read back"
            )
