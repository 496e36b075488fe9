"""The report: one file, nothing loaded, nothing unescaped, and the same facts as the run's own files."""

from __future__ import annotations

import io
import json
import re
import shutil
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import numpy as np
import pytest

import metalearner
from metalearner import machine, runs
from metalearner.errors import UserError
from metalearner.evaluate import Answers
from metalearner.events import Story
from metalearner.kinds import Moment, Proposer, Searcher
from metalearner.markup import card
from metalearner.outputs import Classification, Regression
from metalearner.pictures import Picture, Series, ticks
from metalearner.report.account import Account
from metalearner.report.examples import examples, outcome, png, worst
from metalearner.report.narrator import Narrator
from metalearner.report.page import report
from metalearner.report.svg import svg
from metalearner.report.text import description_lines
from metalearner.request import Request, parse_budget
from metalearner.run import run
from metalearner.task import Wish

NASTY = "<script>alert(1)</script>"
HOSTILE = 'a"><img src=x onerror=alert(2)>'


@pytest.fixture(scope="session")
def told(tmp_path_factory, registry):
    """A finished run on a table whose columns and classes are called what they should not be."""
    folder = tmp_path_factory.mktemp("told")
    rng = np.random.default_rng(0)
    x = rng.random((160, 2))
    lines = [f'{NASTY},"=cmd|\'x\'!A1","a""><img src=x onerror=alert(2)>"']
    lines += [f"{a},{b},{'<i>yes' if a + 0.3 * rng.random() > 0.6 else 'no&'}" for a, b in x]
    (folder / "nasty.csv").write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METALEARNER_HOME", str(folder / "home"))
        request = Request(str(folder / "nasty.csv"), Wish(f"which is it? {NASTY}", HOSTILE, goal="accuracy 0.999"),
                          parse_budget("3trials"), folder / "run", cold=True)  # fmt: skip
        run(request, registry)
    return folder / "run"


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs


def test_a_report_holds_no_script_and_loads_nothing(told, registry):
    found = Tags(report(told, registry))
    assert not found.tags & {"script", "iframe", "object", "link", "base", "form", "i"}
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert all(value.startswith("data:image/png") for name, value in found.attributes if name in ("src", "href"))


def test_an_interactive_report_holds_our_scripts_alone_each_by_its_digest(told, registry):
    text = report(told, registry, interactive=True)
    found = Tags(text)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.S)
    policy = next(value for name, value in found.attributes if name == "content" and "script-src" in value)
    assert len(scripts) == text.count("<script") == 2 and len(text) < 6_000_000
    assert policy.endswith(" ".join(f"'sha256-{b64encode(sha256(s.encode()).digest()).decode()}'" for s in scripts))
    places = [value for name, value in found.attributes if name == "id" and value.startswith("plot-")]
    assert places and all(f'Plotly.newPlot("{place}"' in scripts[1] for place in places)
    assert "<" not in scripts[1] and not [name for name, _ in found.attributes if name in ("src", "href", "onload")]


def test_a_report_tells_what_was_decided_measured_and_spent(told, registry):
    text = report(told, registry)
    for word in (
        "What was decided",
        "Confusion matrix",
        "Leaderboard",
        "core-hours",
        "Wh, at 10 W",
        "was missed",
        "metalearner run",
    ):
        assert word in text, word
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert len(text) < 400_000


def test_a_searcher_that_fails_is_told_and_another_one_goes_on(told, tmp_path, registry, monkeypatch):
    class Fails(Searcher, Proposer):
        """Has one proposal, then none but a bug."""

        name = "fails"

        def begin(self, scope):
            self.first = registry.searchers["priors"].begin(scope).ask(1, [], Moment())
            return self

        def ask(self, n, seen, moment):
            if seen:
                raise TypeError("no size")
            return self.first

    monkeypatch.setenv("METALEARNER_HOME", str(tmp_path / "home"))
    own = replace(registry, searchers={**registry.searchers, "fails": Fails()})
    request = Request(str(told.parent / "nasty.csv"), Wish("which is it?", HOSTILE), parse_budget("5trials"), tmp_path / "run",
                      cold=True, searcher="fails", executor="inline")  # fmt: skip
    said = io.StringIO()
    done = run(request, own, Narrator(said))
    assert len(done.trials) == 5 and done.scorecard.value is not None
    assert "! the searcher 'fails' failed (TypeError: no size): 'priors' goes on" in said.getvalue()
    decisions = Account.open(tmp_path / "run").decisions()
    assert ("search", "'priors' went on", "'fails' failed: TypeError: no size") in decisions


def test_what_notebooks_show_holds_no_script_and_says_what_there_is(told, tmp_path):
    """A run, its bundle, its leaderboard, and a forecast, on names that are not what they should be."""
    table, wanted = told.parent / "nasty.csv", f"which is it? {NASTY}"
    options = {"target": HOSTILE, "cold": True, "goal": "accuracy 0.999"}
    done = metalearner.fit(table, wanted, "1trials", executor="inline", out=tmp_path / "run", **options)
    foreseen = metalearner.forecast(table, wanted, **options)
    # A name may also come from elsewhere than the table.
    foreseen["neighbours"] = [{"name": NASTY, "weight": 1.0, "best_family": HOSTILE}]
    shown = {"run": done, "bundle": done.bundle, "board": done.leaderboard(), "forecast": foreseen}
    for name, thing in shown.items():
        found = Tags(thing._repr_html_())
        assert not found.tags & {"script", "img", "iframe", "link", "i"}, name
        assert not [a for a, _ in found.attributes if a.startswith("on") or a in ("src", "href")], name
    assert f"{done.scorecard.value:.4g}</b>" in done._repr_html_() and "missed" in done._repr_html_()
    assert NASTY.replace("<", "&lt;").replace(">", "&gt;") in done.bundle._repr_html_()
    assert f"<td>{max(foreseen['odds'], key=foreseen['odds'].get)}</td>" in foreseen._repr_html_()
    assert json.loads(json.dumps(foreseen)) == foreseen


def test_what_a_notebook_shows_touches_nothing_else_on_its_page():
    style = re.search("<style>(.*?)</style>", card("x"), re.S)[1]
    selectors = [s.strip() for rule in re.findall(r"([^{}]+)\{", style) for s in rule.split(",")]
    assert selectors and all(s.startswith(".metalearner") for s in selectors)
    assert "prefers-color-scheme" not in style  # the notebook says itself whether it is dark


@pytest.fixture(scope="session")
def digits(tmp_path_factory, registry):
    """A run that is described and no further: 8x8 digits as a table of 64 columns; and its look."""
    from sklearn.datasets import load_digits

    from metalearner.look import look

    folder = tmp_path_factory.mktemp("digits")
    x, y = load_digits(return_X_y=True)
    columns = [*(f"p{i}" for i in range(64)), "digit"]
    np.savetxt(folder / "digits.csv", np.c_[x, y][:700], "%d", ",", header=",".join(columns), comments="")
    request = Request(str(folder / "digits.csv"), Wish("which digit?", "digit"), cold=True)
    seen = look(request, registry, pictures=True, into=folder)
    Story(folder / "events.jsonl").tell("describe", numbers=seen["description"]["numbers"], seconds=1)
    (folder / "request.json").write_text(json.dumps(request.to_json(), default=str))
    return folder, seen


def test_a_report_shows_what_probes_saw_as_long_as_the_data_are_there(digits, registry, tmp_path):
    folder, seen = digits
    shown = re.search(r"<h2>What probes saw of the data</h2>(.*?)</section>", report(folder, registry)).group(1)
    titles = [
        "correlation against lag",
        "columns laid out by resemblance, the spread of each",
        "intact against shuffled",
    ]
    assert re.findall("<h3>(.*?)</h3>", shown)[:3] == titles
    grid, pair = re.findall(r"<svg.*?</svg>", shown)[1:3]
    assert grid.count("<rect") == 64
    numbers = seen["description"]["numbers"]
    folded, gain = numbers["order.folded"], numbers["order.folded_gain"]
    assert gain > 0.01 and f">{folded:.2f}<" in pair and f">{folded - gain:.2f}<" in pair
    assert ">intact<" in pair and ">shuffled<" in pair and "folded in rows" in shown.split("standard errors: ")[1]
    kept = shutil.copytree(folder, tmp_path / "run")
    shutil.rmtree(kept / "data")
    left = report(kept, registry)
    assert "intact against shuffled" in left and "correlation against lag" not in left


def test_a_description_in_a_terminal_holds_what_is_measured_intact_and_shuffled(digits):
    numbers = digits[1]["description"]["numbers"]
    folded, gain = numbers["order.folded"], numbers["order.folded_gain"]
    (line,) = [line for line in description_lines(digits[1]) if "folded in rows" in line]
    assert f"{folded:.2f} intact, {folded - gain:.2f} shuffled" in line


def test_a_run_whose_data_were_removed_is_told_of(told, registry, tmp_path):
    kept = shutil.copytree(told, tmp_path / "run")
    shutil.rmtree(kept / "data")
    assert "How good it is" in report(kept, registry)


def test_every_member_of_the_model_is_drawn(told, registry):
    account = Account.open(told)
    made = re.search(r"<h2>What it is made of</h2>(.*?)</section>", report(told, registry)).group(1)
    assert made.count("<svg") == made.count(">answer</text>") == len(account.weights) >= 1
    assert [share for share, _ in account.members()] == sorted(account.weights.values(), reverse=True)
    for share, proposal in account.members():
        assert f"<h3>{proposal['family']}, {share:.0%}</h3>" in made


def test_an_account_says_what_the_files_say(told):
    account, found = Account.open(told), json.loads((told / "run.json").read_text())
    assert account.state == "finished" and account.score.value == found["score"]["value"]
    assert [r["trial"] for r in account.board()] == [t["trial"] for t in found["leaderboard"] if t["outcome"] == "ok"]
    assert sum(account.weights.values()) == pytest.approx(1)
    assert account.cost()["cpu_hours"] * 3600 == pytest.approx(found["cpu_seconds"])
    assert sum(r["tried"] for r in account.families()) == len(account.board())
    assert account.progress().series[1].y[-1] == account.best["score"]
    command = account.reproduce()
    assert "--goal 'accuracy 0.999'" in command and "--budget 3trials" in command and "--cold" in command
    assert "--no-learn" not in command
    account.request["learn"] = False
    assert account.reproduce().endswith("--no-learn")


def test_the_worst_errors_are_wrong_and_shown_as_they_are(told, registry):
    answers = Answers.open(told / runs.ANSWERS)
    found = worst(told, registry, 3)
    assert answers.split == "sealed test"
    for example in found:
        assert example.said != example.truth and len(example.values) == 2
    assert [p.title for p in outcome(told, registry)] == ["Confusion matrix", "Reliability"]
    matrix = outcome(told, registry)[0]
    assert sum(map(sum, matrix.grid)) == len(answers.target)


def test_what_decides_is_what_the_model_relies_on(told, registry):
    from metalearner.report.importance import importance

    found = importance(told, registry)
    assert [one["column"] for one in found] == [NASTY, "=cmd|'x'!A1"]
    assert found[0]["drop"] > 0.1 > found[1]["drop"]


def test_a_folder_of_something_else_is_refused(tmp_path, registry):
    with pytest.raises(UserError, match="not the folder of a run"):
        report(tmp_path, registry)
    (tmp_path / "request.json").write_text(json.dumps(Request("x", budget=parse_budget("9s")).to_json(), default=str))
    with pytest.raises(UserError, match="not come far enough"):
        report(tmp_path, registry)
    assert Account.open(tmp_path).state == "cut off"


def test_pictures_survive_json_and_say_nothing_unescaped():
    nasty = Picture(NASTY, NASTY, NASTY, NASTY, (Series(NASTY, (0.0, 1.0), (1.0, None), "points", (NASTY,)),))
    assert Picture.from_json(json.loads(json.dumps(nasty.to_json()))) == nasty
    grid = Picture("m", "", NASTY, NASTY, grid=((1, 0), (2, 5)), rows=(NASTY, "b"), columns=("a", NASTY))
    bars = tuple(Series(NASTY, (NASTY, "b"), (0.5, low), "bars", (NASTY,)) for low in (None, -0.5))
    for picture in (nasty, grid, Picture("b", "", NASTY, NASTY, bars)):
        assert "<script" not in svg(picture) and "<svg" in svg(picture)
    assert svg(Picture("nothing", "")) == ""


def test_regression_is_shown_in_its_own_unit():
    output, truth = Regression(), np.linspace(100, 200, 50)
    state = output.fit(truth)
    encoded = output.encode(state, truth)
    predicted, left = output.pictures(state, encoded, encoded[:, None] + 0.1)
    assert max(predicted.series[1].x) == pytest.approx(200) and len(left.series[1].y) == 50
    assert output.words(state, encoded[:1]) == ["100"]
    assert output.errors(state, encoded, encoded[:, None] + 0.1) == pytest.approx(np.full(50, 0.1))


def test_a_reliability_diagram_of_honest_probabilities_lies_on_its_line():
    rng = np.random.default_rng(0)
    p = rng.random(4000)
    target = (rng.random(4000) < p).astype(int)
    output = Classification()
    state = output.fit(np.where(target == 1, "yes", "no"))
    _, shown = output.pictures(state, target, np.stack([1 - p, p], axis=1))
    points = shown.series[1]
    assert np.abs(np.array(points.x) - np.array(points.y)).max() < 0.06


def test_rows_are_shown_by_what_they_hold():
    from metalearner.arrays import Fields, Ragged

    fields = Fields({"name": np.array(["a", "b"]), "n": np.array([1.5, np.nan]),
                     "photo": np.zeros((2, 8, 9, 3), np.uint8), "wave": Ragged.pack([np.zeros((5, 2)), np.zeros((700, 2))])})  # fmt: skip
    one, two = examples(fields, [0, 1])
    assert one.values == {"name": "a", "n": 1.5} and two.values["n"] is None
    assert re.match(r"data:image/png;base64,", one.images["photo"])
    assert len(two.series["wave"].series) == 2 and len(two.series["wave"].series[0].x) <= 350


def test_the_png_is_one():
    import base64
    import io

    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 255, (7, 5, 3), dtype=np.uint8)
    read = image.open(io.BytesIO(base64.b64decode(png(pixels).partition(",")[2])))
    assert np.array_equal(np.asarray(read), pixels)


def test_ticks_are_round():
    assert ticks(-3, 17) == [0.0, 5.0, 10.0, 15.0] and ticks(2, 2) == [2]
    assert machine.cpu_seconds() > 0


def test_who_owns_a_run_is_known_and_asking_takes_nothing(tmp_path):
    assert runs.owner(tmp_path) is None
    with runs.owned(Request("x", out=tmp_path / "r"), "x") as folder:
        import os

        assert runs.owner(folder) == os.getpid()
        with pytest.raises(Exception, match="going on in another process"), runs.owned(Request("x", out=folder), "x"):
            pass
        assert runs.owner(folder) == os.getpid()
    assert runs.owner(folder) is None
