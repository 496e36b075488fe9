"""Networks drawn: everything that data flow through is there, in that order, inside the picture, whatever it is called."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from metalearner import grammar
from metalearner.diagram import WIDEST, diagram
from metalearner.errors import PluginError
from metalearner.records import Axis, Config, View

IMAGE = {"image": View((Axis("space", 16), Axis("space", 16)), 3)}
SERIES = {"signal": View((Axis("time", 50, True),), 2)}
TABLE = {"columns": View((Axis("columns", 9),), 1)}
NAME = "{http://www.w3.org/2000/svg}"


def drawn(config, productions, views=None):
    return ET.fromstring(diagram(config, productions, views))


def said(root):
    return [e.text for e in root.iter(f"{NAME}text")]


def corners(element, x=0.0, y=0.0):
    """Right and lower ends of all boxes."""
    if moved := re.match(r"translate\((\S+) (\S+)\)", element.get("transform", "")):
        x, y = x + float(moved[1]), y + float(moved[2])
    if element.tag == f"{NAME}rect":
        assert x >= -0.1 and y >= -0.1
        yield x + float(element.get("width")), y + float(element.get("height"))
    for child in element:
        yield from corners(child, x, y)


def preset(registry, family):
    return grammar.complete(registry.families[family].presets[0], registry.productions)


def test_a_named_network_is_unfolded_with_the_shapes_that_pass(registry):
    words = said(drawn(preset(registry, "resnet"), registry.productions, IMAGE))
    assert words[0] == "image" and words[1] == "16×16×3" and words[-1] == "answer"
    assert "resnet = stack" in words and words.index("patches") < words.index("basic") < words.index("mean")
    assert "4×4×128" in words and not any("lr" in w.split() for w in words)  # no data flow through the recipe
    folded = said(drawn(preset(registry, "resnet"), registry.productions))
    assert "resnet" in folded and "patches" not in folded and not any("×" in w for w in folded)


def test_parts_side_by_side_lie_so_and_equal_ones_are_drawn_once(registry):
    words = said(drawn(preset(registry, "inception-time"), registry.productions, SERIES))
    assert "inception ×3" in words and "≤50×2" in words
    root = drawn(preset(registry, "text-cnn"), registry.productions, TABLE)  # its own view is known in a fit alone
    assert said(root).count("conv") == 2 and "text-net" in said(root)


@pytest.mark.parametrize(
    "family", ["trees", "linear", "efficientnet-lite0-linear", "efficientnet-lite0-tuned", "fused-gate"]
)
def test_what_is_no_network_is_drawn_too(registry, family):
    words = said(drawn(preset(registry, family), registry.productions, IMAGE))
    assert registry.families[family].presets[0].production in words and "answer" in words


def test_whatever_search_composes_stays_inside_its_picture(registry):
    for seed in range(30):
        views = [IMAGE, SERIES, TABLE, IMAGE | TABLE][seed % 4]
        config = grammar.derive_net(views, registry.productions, np.random.default_rng(seed))
        root = drawn(grammar.complete(config, registry.productions), registry.productions, views)
        wide, high = (float(n) for n in root.get("viewBox").split()[2:])
        ends = list(corners(root))
        assert max(x for x, _ in ends) <= wide and max(y for _, y in ends) <= high
        assert wide <= WIDEST + 2 or len(views) > 1
        names = {
            node.production for _, node in config.walk() if node.production in ("stack", "stage", "residual", "plain")
        }
        assert all(any(name in word.split(" ") for word in said(root)) for name in names)
        assert set(views) <= set(said(root))


def test_names_are_escaped_and_unknown_productions_are_named(registry):
    text = diagram(preset(registry, "linear"), registry.productions, {"<script>": TABLE["columns"]})
    assert "<script" not in text and "&lt;script&gt;" in text
    with pytest.raises(PluginError, match="Unknown production 'nobodys'"):
        diagram(Config("nobodys"), registry.productions)
