"""The catalogue: every preset lies in its spaces and builds, every modality has enough of them, torch stays out."""

from __future__ import annotations

import subprocess
import sys

import pytest
from metalearner_level1_framework_models.encoders import ENCODERS
from metalearner_level1_framework_models.families import NET_FAMILIES
from metalearner_level1_framework_models.grammar import PRIMITIVES
from metalearner_level1_framework_models.table_families import TABLE_FAMILIES

from metalearner import grammar
from metalearner.records import Axis, View
from metalearner.train.productions import PRODUCTIONS

KNOWN = {p.name: p for p in [*PRODUCTIONS, *PRIMITIVES, *ENCODERS]}
TABLE = View((Axis("columns", 9),), 1, (3, 30))
IMAGE = View((Axis("space", 28), Axis("space", 28)), 1)
SIGNAL = View((Axis("time", 120),), 1)
RAW = View((Axis("set", 3), Axis("time", 40)), 5)
FAMILIES = [*NET_FAMILIES, *TABLE_FAMILIES]
PRESETS = [(f, i) for f in FAMILIES for i in range(len(f.presets))]


@pytest.mark.parametrize(("family", "number"), PRESETS, ids=lambda x: getattr(x, "name", x))
def test_presets_lie_in_their_spaces(family, number):
    assert grammar.check(family.presets[number], KNOWN) == []
    assert family.presets[number].skeleton == family.presets[0].skeleton


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_presets_differ_and_build(family):
    from metalearner.grammar.build import build

    assert len({p.id for p in family.presets}) == len(family.presets)
    view = next(v for v in (TABLE, IMAGE, SIGNAL, RAW) if family.accepts({"x": v}))
    for preset in family.presets:
        assert sum(p.numel() for p in build(preset, {"x": view}, 3, KNOWN).parameters()) < 2_000_000


@pytest.mark.parametrize(
    ("view", "names", "least"),
    [
        (TABLE, {"mlp", "tabm", "ft-transformer"}, 10),
        (IMAGE, {"mlp", "resnet", "mobilenet", "efficientnet", "mlp-mixer"}, 14),
        (SIGNAL, {"mlp", "resnet-1d", "inception-time", "recurrent", "sequence-transformer", "mlp-mixer"}, 16),
        (
            RAW,
            {"mlp", "deep-sets", "resnet-1d", "inception-time", "recurrent", "sequence-transformer", "mlp-mixer"},
            18,
        ),
        (View((Axis("columns", 151),), 1), {"mlp", "tabm"}, 7),
        (View((Axis("columns", 0),), 1, (4, 3)), {"mlp", "tabm", "ft-transformer"}, 10),
        (View((Axis("time", 5), Axis("space", 16), Axis("space", 16)), 1), None, 20),
    ],
)
def test_families_by_view(view, names, least):
    found = [f for f in FAMILIES if f.accepts({"x": view})]
    assert names is None or {f.name for f in found} == names
    assert sum(len(f.presets) for f in found) >= least


def test_two_views_need_another_learner():
    assert not any(f.accepts({"a": TABLE, "b": IMAGE}) for f in FAMILIES)


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda e: e.name)
def test_defaults_lie_in_their_ranges(encoder):
    assert all(r.holds(r.default) for r in encoder.space().values())


def test_listing_needs_no_torch():
    code = "import sys, metalearner_level1_framework_models.families; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
