"""Errors: three parts, the nearest name, the trip between processes."""

from __future__ import annotations

import pickle

from metalearner.errors import DataError, PluginError, UserError, unknown


def test_unknown_names_suggest_the_nearest_and_list_what_there_is():
    assert str(PluginError(*unknown("family", "resnett", ["resnet", "mlp"], "More: metalearner plugin list"))) == (
        "Unknown family 'resnett'. Did you mean 'resnet'?\nKnown: mlp, resnet.\nMore: metalearner plugin list"
    )


def test_errors_survive_the_trip_between_processes():
    error = pickle.loads(pickle.dumps(DataError("a", "b", "c")))
    assert isinstance(error, UserError) and (error.happened, error.holds, error.hint) == ("a", "b", "c")
