"""One run as one HTML file: everything decided, with its reason, and everything measured.

It needs no network. Pictures are inline SVG of some kilobytes each, and its own policy forbids scripts, whatever a column is called;
or, where it is to be interactive, plotly's, whose library (over four megabytes) comes along and is allowed by its digest.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ..describe import sights
from ..errors import UserError
from ..markup import amounts, cell, items, number, table, words
from ..pictures import Picture
from ..plugins import Registry
from ..records import Config
from ..report_style import STYLE
from .account import WATTS, Account
from .diagram import diagram
from .examples import Example, denied, outcome, worst
from .sights import paired, pictured
from .svg import svg
from .text import limit_lines

if TYPE_CHECKING:
    from .interactive import Interactive

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
Draw = Callable[[Picture], str]
# Rows of the leaderboard; the rest is counted.
BOARD = 25
# Columns of a row that is shown.
SHOWN = 12


def report(folder: Path, registry: Registry, interactive: bool = False) -> str:
    """The HTML of a run, finished or as far as it got. Raises UserError where the folder is no run or nothing was learnt yet."""
    artist = _interactive() if interactive else None
    draw = artist or svg
    account = Account.open(folder)
    if account.task is None:
        raise UserError(f"The run in '{folder}' has not come far enough to tell of.", "Its data are not read yet.",
                        f"metalearner resume {folder}")  # fmt: skip
    parts = [
        _head(account),
        _section("How good it is", _goodness(account, registry, draw)),
        _section("The worst errors", _worst(worst(folder, registry))),
        _section("What it is made of", _members(account, registry)),
        _section("What was decided, and why", _decisions(account)),
        _section("What probes saw of the data", _data(account, registry, draw)),
        _section("How the search went", _search(account, draw)),
        _section("What past runs say", _neighbours(account)),
        _section("Leaderboard", _board(account)),
        _section("What went wrong on the way", _failures(account)),
        _section("What it cost", _cost(account)),
        _section("The same again", _again(account)),
    ]
    title, scripts = escape(f"{account.task.target} · {account.name}"), artist.scripts if artist else []
    body = "".join([*parts, *(f"<script>{script}</script>" for script in scripts)])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )


def _policy(scripts: Sequence[str]) -> str:
    """Nothing from elsewhere, and no scripts but these."""
    digests = [b64encode(sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"{POLICY}; script-src {allowed}" if digests else POLICY


def _interactive() -> Interactive:
    """What draws by plotly, whose import takes a second."""
    from .interactive import Interactive

    return Interactive()


def _head(a: Account) -> str:
    """What is predicted, and the score beside what one gets without looking."""
    assert a.task is not None
    wanted = f'<p class="wanted">{escape(a.task.sentence)}</p>' if a.task.sentence else ""
    title = f"<h1>{escape(a.task.target)}</h1>{wanted}"
    if a.score is None:
        return f'<header>{title}<p class="mild">This run is {a.state}: {len(a.trials)} fits so far.</p></header>'
    s = a.score
    figures = [
        (number(s.value), s.metric, f"{number(s.low)} to {number(s.high)} with 95 % confidence"),
        (number(s.baseline), "without looking", "the naive baseline"),
        (f"{s.rows:,}", "rows measured on", s.split),
    ]
    if s.goal is not None:
        figures.append((number(s.goal), "goal", "met" if s.goal_met else "missed"))
    return f"<header>{title}{amounts(figures)}</header>"


def _decisions(a: Account) -> str:
    rows, before = [], ""
    for stage, what, why in a.decisions():
        rows.append(("" if stage == before else stage, what, why))
        before = stage
    return table(("stage", "decided", "because"), rows)


def _data(a: Account, registry: Registry, draw: Draw) -> str:
    """What probes show as long as the data are there; what landmarkers measured the run has kept."""
    setting = a.setting(registry)
    seen = sights(setting.dataset, setting.transform, registry.probes.values()) if setting else []
    return _pictures([*map(pictured, seen), *paired(a.told("describe").get("numbers", {}))], draw)


def _search(a: Account, draw: Draw) -> str:
    found = a.told("searched")
    told = f"{len(a.trials):,} fits, {len(a.good):,} of them full." if a.trials else ""
    if found:
        told = f"{found['tried']:,} configurations in {found['seconds']:.0f} seconds, {len(a.good):,} fitted in full."
    forecast = a.told("propose").get("forecast") or {}
    if forecast.get("value") is not None:
        ends = f"{number(forecast['low'])} to {number(forecast['high'])}"
        told += (
            f" Before it began, {number(forecast['value'])} was forecast, {ends} in {forecast['level']:.0%} of cases."
        )
    return words(told) + _pictures([p for p in (a.progress(), a.curves()) if p is not None], draw)


def _goodness(a: Account, registry: Registry, draw: Draw) -> str:
    """All metrics, pictures of right and wrong, the goal and why it was missed, the limits."""
    if a.score is None:
        return ""
    s = a.score
    rows = [(s.metric, number(s.value), f"{number(s.low)} to {number(s.high)}", number(s.baseline))]
    rows += [(name, number(value), "", "") for name, value in s.others.items()]
    text = table(("metric", "value", "95 % interval", "naive baseline"), rows, numbers=(1, 2, 3))
    pictures = outcome(a.folder, registry)
    text += (
        _pictures(pictures, draw)
        if pictures
        else words("This run kept no single predictions, or its data are gone, so there are no pictures of them.")
    )
    if s.goal is not None:
        text += words(f"The goal of {number(s.goal)} was {'met' if s.goal_met else 'missed'}.")
    text += items([str(cause) for cause in s.diagnosis])
    denials = denied(a.folder, registry)
    if denials:
        text += words("Rows whose target the models deny, which had not seen them: it may be wrong.") + _worst(denials)
    return text + items(limit_lines((a.result or {}).get("limits") or {}))


def _worst(found: Sequence[Example]) -> str:
    cards = []
    for e in found:
        lead = f"said <b>{escape(e.said)}</b>, is <b>{escape(e.truth)}</b>"
        images = "".join(f'<img src="{escape(uri, quote=True)}" alt="">' for uri in e.images.values())
        series = "".join(svg(p) for p in e.series.values())
        few = list(e.values.items())[:SHOWN]
        values = "".join(f"<dt>{escape(str(k))}</dt><dd>{escape(cell(v))}</dd>" for k, v in few)
        cards.append(f'<figure class="row"><figcaption>{lead}</figcaption>{images}{series}<dl>{values}</dl></figure>')
    return f'<div class="rows">{"".join(cards)}</div>' if cards else ""


def _members(a: Account, registry: Registry) -> str:
    """Each member of the ensemble, drawn."""
    views = a.views(registry)
    drawn = [
        f"<figure><h3>{escape(p['family'])}, {share:.0%}</h3>{diagram(Config.from_json(p['config']), registry.productions, views)}</figure>"
        for share, p in a.members()
    ]
    return f'<div class="members">{"".join(drawn)}</div>' if drawn else ""


def _neighbours(a: Account) -> str:
    prior = a.told("propose")
    near = prior.get("neighbours") or ()
    if not near:
        return words("No past run was used.")
    rows = [(n["name"], f"{n['weight']:.0%}", n["best_family"], number(n["best_skill"])) for n in near[:8]]
    rows.append(("none of these", f"{prior['nothing_like_it']:.0%}", "", ""))
    return table(("data set", "weight", "won there", "its skill"), rows, numbers=(1, 3))


def _board(a: Account) -> str:
    board = a.board()
    rows = []
    for r in board[:BOARD]:
        share, took = f"{r['share']:.0%}" if r["share"] else "", f"{r['seconds']:.1f} s"
        rows.append((r["family"], number(r["score"]), share, took, f"{r['fitted']:.0%}", r["by"], r["why"]))
    ranked = table(("family", "score", "share", "took", "fitted", "by", "because"), rows, numbers=(1, 2, 3, 4))
    more = f"And {len(board) - BOARD:,} more." if len(board) > BOARD else ""
    return words("Scores are of rows held out of learning, never of the sealed test.") + ranked + words(more)


def _failures(a: Account) -> str:
    rows = [(f["family"], f["outcome"], f["times"], f["why"]) for f in a.failures()]
    return table(("family", "what", "times", "because"), rows, numbers=(2,)) if rows else ""


def _cost(a: Account) -> str:
    spent = a.cost()
    if spent is None:
        return ""
    rows = [
        ("time", f"{spent['seconds']:.0f} s"),
        ("computing", f"{spent['cpu_hours']:.3f} core-hours"),
        ("energy, estimated", f"{spent['watt_hours']:.2f} Wh, at {WATTS:.0f} W a busy core"),
        ("size of the model", f"{a.told('deploy').get('bytes', 0) / 1e6:.2f} MB"),
    ]
    return table(("", ""), rows)


def _again(a: Account) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in a.manifest().get("versions", {}).items())
    data = a.told("prepare").get("card", {})
    lines = [f"SHA-256 of the data: {data['data_hash']}"] if data.get("data_hash") else []
    lines += [f"Made with {versions}."] if versions else []
    bundle = (
        f"metalearner predict {a.folder / 'bundle'} ROWS --out predictions.csv\nmetalearner serve {a.folder / 'bundle'}"
    )
    use = f"<p>To use the model:</p><pre>{escape(bundle)}</pre>" if a.score is not None else ""
    return f"<pre>{escape(a.reproduce())}</pre>{items(lines)}{use}"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _pictures(found: Iterable[Picture], draw: Draw) -> str:
    figures = "".join(
        f"<figure><h3>{escape(p.title)}</h3>{draw(p)}<figcaption>{escape(p.says)}</figcaption></figure>" for p in found
    )
    return f'<div class="pictures">{figures}</div>' if figures else ""
