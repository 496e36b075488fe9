"""A bundle deployed elsewhere: from a run to files, as a user types it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from metalearner import fit, plugins
from metalearner.deploy.target import networks, write
from metalearner.errors import PluginError, UserError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Of a run that may use networks alone and deploy little."""
    x = np.random.default_rng(0).normal(size=(200, 3))
    table = pd.DataFrame(x, columns=list("abc")).assign(y=np.where(x[:, 0] > 0, "up", "down"))
    place = tmp_path_factory.mktemp("target") / "run"
    options = {"families": ("mlp",), "max_size": "100kB", "cold": True, "workers": 1}
    return fit(table, budget="3trials", out=place, **options).bundle


def test_a_bundle_of_networks_becomes_files(bundle, tmp_path):
    (file,) = write(bundle.folder, plugins.load(), "c", tmp_path / "out", "penguin")
    assert file == tmp_path / "out" / "penguin.c" and "penguin_predict" in file.read_text()
    assert sum(n.weight for n in networks(bundle)) == pytest.approx(1.0)


def test_names_and_targets_that_there_are_not(bundle, tmp_path):
    for name in ("two words", "1st", "", "a" * 80, "x; rm"):
        with pytest.raises(UserError, match="no name for code"):
            write(bundle.folder, plugins.load(), "c", tmp_path, name)
    with pytest.raises(PluginError, match="'fpga'"):
        write(bundle.folder, plugins.load(), "fpga", tmp_path, "model")
    assert list(tmp_path.iterdir()) == []
