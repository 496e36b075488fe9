"""Arguments in, text out. No logic, and nothing heavy imported before a command needs it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .cli_beside import follow, open_beside
from .cli_knowledge import JsonOption, kb

if TYPE_CHECKING:
    from .request import Request

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
                  help="Labelled data and a sentence in; a measured, packaged, watched model out.")  # fmt: skip
plugin = typer.Typer(no_args_is_help=True, help="What is installed.")
backbone = typer.Typer(no_args_is_help=True, help="Pretrained models that transfer can begin with.")
app.add_typer(kb, name="kb")
app.add_typer(plugin, name="plugin")
app.add_typer(backbone, name="backbone")
app.command("open")(open_beside)
app.command("follow")(follow)

# Where a process is this command alone, its budget counts from here: what is imported is waited for like all else.
IMPORTED = time.monotonic()
began: float | None = None

SourceArgument = Annotated[
    str, typer.Argument(help="A file, a folder, file.db::table, or the name of a data set.", show_default=False)
]
SentenceArgument = Annotated[str, typer.Argument(help="What is wanted, in a sentence.", show_default=False)]
BundleArgument = Annotated[Path, typer.Argument(help="The folder of a packaged model.", show_default=False)]
RowsArgument = Annotated[str, typer.Argument(help="Rows of the same kind of data.", show_default=False)]
TargetOption = Annotated[str | None, typer.Option(help="The column to predict.")]


@app.command()
def run(
    source: SourceArgument,
    sentence: SentenceArgument = "",
    target: TargetOption = None,
    metric: Annotated[
        str | None, typer.Option(help="How to score; chosen from the data and the sentence otherwise.")
    ] = None,
    goal: Annotated[str | None, typer.Option(help='When it counts as met: 0.9, or "recall 0.85".')] = None,
    budget: Annotated[str, typer.Option(help='A time or a number of trials: "90s", "2m", "40trials".')] = "2m",
    group_by: Annotated[
        str | None, typer.Option(help="A column of what belongs together (patient, photograph): never split apart.")
    ] = None,
    max_size: Annotated[
        str | None, typer.Option(help='What the deployed models may take on disk: "200kB". A sentence may say it, too.')
    ] = None,
    max_latency: Annotated[
        str | None, typer.Option(help='What predicting one row alone may take on this machine: "1ms".')
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/<name>-<id> otherwise.")] = None,
    test: Annotated[str, typer.Option(help="The sealed rows: a fraction, a file, or none; auto is a fifth.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    cold: Annotated[bool, typer.Option("--cold", help="Use no knowledge of past runs.")] = False,
    blind: Annotated[
        bool, typer.Option("--blind", help="Forget past runs on the same or nearly the same data.")
    ] = False,
    searcher: Annotated[
        str, typer.Option(help="How to search: evolution, tpe, grid, random, priors; auto is the best installed.")
    ] = "auto",
    families: Annotated[
        str, typer.Option(help="Only these, separated by commas; 'invented' is what search composes. All otherwise.")
    ] = "",
    keep: Annotated[
        list[str] | None,
        typer.Option(help="A column to learn from although it gives the target away, * for all; again for more."),
    ] = None,
    narrow: Annotated[
        list[str] | None, typer.Option(help='Search a number less widely: "trees.leaves=8..64". May be given again.')
    ] = None,
    workers: Annotated[int, typer.Option(help="Trials at once, a core each; 0: as many as there are.", min=0)] = 2,
    executor: Annotated[
        str, typer.Option(help="Where trials run: local, inline (this process), or what a plugin brings (ray).")
    ] = "local",
    address: Annotated[str, typer.Option(help="Of the cluster, for executors that have one.")] = "",
    callback: Annotated[
        list[str] | None, typer.Option(help="Who else is told what happens: tensorboard, mlflow; again for more.")
    ] = None,
    no_learn: Annotated[
        bool, typer.Option("--no-learn", help="Keep what the run teaches out of the knowledge base.")
    ] = False,
    as_json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but the result.")] = False,
) -> None:
    """Learn from labelled data: from the file to a packaged, measured model."""
    from .request import Request, parse_budget
    from .task import Wish

    wish = Wish(sentence, target, metric, goal, group_by, max_size, max_latency)
    named = tuple(n.strip() for n in families.split(",") if n.strip())
    request = Request(source, wish, parse_budget(budget), out, test, seed, cold, blind, executor, workers, address,
                      searcher, named, keep=tuple(keep or ()), narrow=tuple(narrow or ()), callbacks=tuple(callback or ()),
                      learn=not no_learn)  # fmt: skip
    _run(request, as_json, quiet)


@app.command()
def resume(
    folder: Annotated[
        Path, typer.Argument(help="The folder of a run that did not end.", metavar="RUN", show_default=False)
    ],
    as_json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but the result.")] = False,
) -> None:
    """Go on with a run that was cut off; no finished trial is lost."""
    from .runs import request_of

    _run(request_of(folder), as_json, quiet)


def _run(request: Request, as_json: bool, quiet: bool) -> None:
    from . import plugins
    from .report.narrator import Narrator
    from .report.text import summary
    from .run import run as conduct

    narrator = Narrator(sys.stderr if as_json else sys.stdout, quiet)
    done = conduct(request, plugins.load(), narrator, began=began)
    typer.echo(json.dumps(done.to_json()) if as_json else summary(done))
    if done.interrupted:
        raise typer.Exit(130)


@app.command()
def describe(
    source: SourceArgument,
    sentence: SentenceArgument = "",
    target: TargetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a data set looks like, in named numbers."""
    from . import plugins
    from .look import look as look_at
    from .report.text import description_lines
    from .request import Request
    from .task import Wish

    look = look_at(Request(source, Wish(sentence, target), cold=True), plugins.load(), True)
    typer.echo(json.dumps(look["description"]) if as_json else "\n".join(description_lines(look)))


@app.command()
def propose(
    source: SourceArgument,
    sentence: SentenceArgument = "",
    target: TargetOption = None,
    cold: Annotated[bool, typer.Option("--cold", help="Use no knowledge of past runs.")] = False,
    blind: Annotated[
        bool, typer.Option("--blind", help="Forget past runs on the same or nearly the same data.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say also which blocks networks should be made of.")
    ] = False,
    metric: Annotated[str | None, typer.Option(help="How to score.")] = None,
    goal: Annotated[str | None, typer.Option(help='When it would count as met: 0.9, or "recall 0.85".')] = None,
    group_by: Annotated[str | None, typer.Option(help="A column of what belongs together.")] = None,
    budget: Annotated[str, typer.Option(help="What a run might spend.")] = "2m",
    keep: Annotated[
        list[str] | None,
        typer.Option(help="A column to learn from although it gives the target away, * for all; again for more."),
    ] = None,
    into: Annotated[Path | None, typer.Option(help="A folder in which the prepared data stay.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what would be tried first, why, and how well it should go. Nothing is trained."""
    from . import plugins
    from .look import look as look_at
    from .report.text import explanation_lines, proposal_lines
    from .request import Request, parse_budget
    from .task import Wish

    wish = Wish(sentence, target, metric, goal, group_by)
    request = Request(source, wish, parse_budget(budget), cold=cold, blind=blind, keep=tuple(keep or ()))
    look = look_at(request, plugins.load(), into is not None, into)
    lines = proposal_lines(look) + (explanation_lines(look) if explain else [])
    typer.echo(json.dumps(look) if as_json else "\n".join(lines))


@app.command()
def predict(
    bundle: BundleArgument,
    rows: RowsArgument,
    out: Annotated[Path, typer.Option(help="Where the predictions go, as CSV.")] = Path("predictions.csv"),
    regions: Annotated[bool, typer.Option("--regions", help="Add the conformal set or interval of each row.")] = False,
) -> None:
    """Predict rows: `prediction`, and for classes one `p_<class>` column each."""
    table = _bundle(bundle).predict(rows, regions=regions)
    table.to_csv(out, index=False)
    typer.echo(f"{len(table)} predictions in {out}")


@app.command()
def evaluate(bundle: BundleArgument, rows: RowsArgument, as_json: JsonOption = False) -> None:
    """Score a packaged model on labelled rows, and count how many its sets or intervals cover."""
    from .look import appraise
    from .report.text import scorecard_lines

    scorecard, covered = appraise(_bundle(bundle), rows)
    found = {**scorecard.to_json(), "coverage": covered and covered.to_json()}
    lines = [*scorecard_lines(scorecard), *([covered.line()] if covered else [])]
    typer.echo(json.dumps(found) if as_json else "\n".join(lines))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a run.", metavar="RUN", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Where it goes; report.html in the run's folder otherwise.")] = None,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Pictures by plotly, to zoom and to point at; five megabytes more.")
    ] = False,
) -> None:
    """Write a run as one HTML file that needs no network: decisions and reasons, pictures, diagnosis, cost."""
    from . import plugins
    from .report.page import report as tell

    text, file = tell(folder, plugins.load(), interactive), out or folder / "report.html"
    file.write_text(text)
    typer.echo(f"{file} · {file.stat().st_size / 1e3:.0f} kB")


@app.command()
def importance(
    folder: Annotated[Path, typer.Argument(help="The folder of a finished run.", metavar="RUN", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Say which columns a run's model relies on: how much worse it does when one is shuffled."""
    from . import plugins
    from .report.importance import importance as measure

    found = measure(folder, plugins.load())
    lines = [f"{one['column'][:40]:<40} {one['drop']:+.4f} ± {one['spread']:.4f}" for one in found]
    typer.echo(json.dumps(found) if as_json else "\n".join(lines))


@app.command()
def augmentations(
    folder: Annotated[
        Path, typer.Argument(help="The folder of a run, or of kept data.", metavar="RUN", show_default=False)
    ],
    as_json: JsonOption = False,
) -> None:
    """Say what training may make of rows; with --json, a few of them changed in each way."""
    from . import plugins
    from .augmentations import augmentations as make
    from .augmentations import said

    found = make(folder, plugins.load())
    typer.echo(json.dumps([way.to_json() for way in found]) if as_json else "\n".join(said(found)))


@app.command()
def serve(
    bundle: BundleArgument,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8000,
) -> None:
    """Answer JSON rows over HTTP, on this machine alone unless told otherwise."""
    from .deploy.serve import serve as listen

    listen(_bundle(bundle), host, port)


@app.command()
def deploy(
    bundle: BundleArgument,
    target: Annotated[str, typer.Option(help="What to deploy to: c, or what a plugin brings.")] = "c",
    out: Annotated[Path, typer.Option(help="The folder for the files.")] = Path("."),
    name: Annotated[str, typer.Option(help="A word to call it by.")] = "model",
) -> None:
    """Write a packaged model as files for something other than this program."""
    from . import plugins
    from .deploy.target import write

    for file in write(bundle, plugins.load(), target, out, name):
        typer.echo(f"{file} · {file.stat().st_size / 1e3:,.0f} kB")


@app.command()
def monitor(bundle: BundleArgument, rows: RowsArgument, as_json: JsonOption = False) -> None:
    """Say which features of new rows have shifted, and of labelled ones how well they are predicted and covered."""
    from .monitor import monitor as watch

    report = watch(_bundle(bundle), rows)
    typer.echo(json.dumps(report.to_json()) if as_json else "\n".join(report.lines()))


def _bundle(folder: Path) -> Any:
    from . import plugins
    from .deploy import Bundle

    return Bundle.open(folder, plugins.load())


@plugin.command("list")
def plugin_list(as_json: JsonOption = False) -> None:
    """Every plugin with what it brings, or why it could not be loaded."""
    from . import plugins
    from .records import plain
    from .report.text import plugin_lines

    found = plugins.load().plugins
    typer.echo(json.dumps(plain(found)) if as_json else "\n".join(plugin_lines(found)))


@backbone.command("list")
def backbone_list(as_json: JsonOption = False) -> None:
    """Every backbone whose weights are here: what it reads, its size, its licence, where it comes from."""
    from . import backbones, plugins
    from .report.text import backbone_lines

    found = backbones.here(plugins.load())
    typer.echo(json.dumps(found) if as_json else "\n".join(backbone_lines(found)))


@backbone.command("add")
def backbone_add(
    source: Annotated[str, typer.Argument(help="A folder as transformers writes it, or owner/name of the hub.")],
    name: Annotated[str, typer.Option(help="What to call it.")] = "",
    revision: Annotated[str, typer.Option(help="The commit of the hub's model, 40 letters.")] = "",
    network: Annotated[bool, typer.Option("--network", help="Allow it to be fetched from the hub, now.")] = False,
) -> None:
    """Add a pretrained model of texts, pictures or sound: safetensors alone, no code of its own."""
    from . import backbones, plugins

    found = backbones.add(source, name, revision, network, plugins.load().productions)
    backbones.tried(found, plugins.load())
    typer.echo(
        f"{found.name} reads {backbones.READS[found.raw]}; families {found.name}-linear, {found.name}-tuned and more"
    )


@backbone.command("remove")
def backbone_remove(name: Annotated[str, typer.Argument(help="A backbone that you added.")]) -> None:
    """Forget a backbone. A folder of yours stays where it is."""
    from . import backbones

    typer.echo(f"{backbones.remove(name).name} is forgotten")


@app.command("app")
def open_app(
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8501,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    runs: Annotated[Path, typer.Option(help="The folder of runs that the printed address shows.")] = Path("runs"),
) -> None:
    """Open the app in a browser: point and click, on this machine alone unless told otherwise."""
    from .pages.launch import launch

    launch(port, host, runs)


@app.command()
def explain(word: Annotated[str, typer.Argument(help="A word that this program uses.", show_default=False)]) -> None:
    """Say in a sentence what a word means."""
    from .glossary import explain as tell

    typer.echo(tell(word))


@app.command()
def doctor() -> None:
    """Check that everything needed is here and works."""
    from .doctor import examine

    lines, healthy = examine()
    typer.echo("\n".join(lines))
    if not healthy:
        raise typer.Exit(1)


def main() -> None:
    """Run a command; the user's mistakes end with code 2, a failed run with 1, an interrupt with 130."""
    from .errors import MetalearnerError, UserError

    global began  # noqa: PLW0603 - commands have no other way to learn of it
    began = IMPORTED
    try:
        app()
    except MetalearnerError as problem:
        typer.echo(str(problem), err=True)
        sys.exit(2 if isinstance(problem, UserError) else 1)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(130)
