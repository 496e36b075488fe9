"""`metalearner kb`: the commands of the knowledge base. Nothing heavy is imported before one needs it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

kb = typer.Typer(no_args_is_help=True, help="The knowledge base of past runs.")
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout; progress goes to stderr.")]


@kb.command()
def stats(as_json: JsonOption = False) -> None:
    """What the base holds."""
    from .knowledge import Base
    from .report.text import stats_lines

    found = Base.open().stats()
    typer.echo(json.dumps(found) if as_json else "\n".join(stats_lines(found)))


@kb.command()
def build() -> None:
    """Make the database and the index from the records anew."""
    from . import plugins
    from .knowledge import Base

    counts = Base.open(productions=plugins.load().productions).build()
    typer.echo(", ".join(f"{v} {k}" for k, v in counts.items()))


@kb.command()
def pack() -> None:
    """Compress the records that ship, with what `kb grow --shipped` added: the form in which they are committed."""
    from .knowledge import Base

    for file in Base.open().pack():
        typer.echo(f"{file.name:<24} {file.stat().st_size / 1e6:.2f} MB")


@kb.command()
def grow(
    hours: Annotated[float, typer.Option(help="Stop after this long.")] = 1.0,
    only: Annotated[str, typer.Option(help="Data sets to grow, separated by commas; all of datasets/ otherwise.")] = "",
    shipped: Annotated[
        bool, typer.Option("--shipped", help="Write to knowledge_base/ instead of your own records.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
) -> None:
    """Run what the base knows least, and add it. Can be stopped and started again at any time."""
    from . import plugins
    from .kb.grow import grow as enlarge

    names = [n.strip() for n in only.split(",") if n.strip()]
    enlarge(plugins.load(), hours, names, shipped, workers, typer.echo)


@kb.command()
def verify(
    sample: Annotated[int, typer.Option(help="How many records to run again.")] = 10,
    seed: Annotated[int, typer.Option(help="Which records.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Run random records again and compare; fails when one differs, or when none could be run."""
    from . import plugins
    from .kb.verify import verify as rerun
    from .report.text import verification_lines

    found, passed = rerun(plugins.load(), sample, seed)
    told = {"records": found, "passed_over": passed}
    typer.echo(json.dumps(told) if as_json else "\n".join(verification_lines(found, passed)))
    if not found or not all(r["agrees"] for r in found):
        raise typer.Exit(1)


@kb.command()
def train(
    shipped: Annotated[
        bool, typer.Option("--shipped", help="From the records that ship alone, into knowledge_base/.")
    ] = False,
) -> None:
    """Learn from what the base knows: an embedder, blocks, and a ranker if it beats what is used without one."""
    from . import plugins
    from .kb.teach import opened, teach

    registry = plugins.load()
    with opened(shipped, registry) as (base, folder):
        won = teach(base, registry, folder, typer.echo)
    typer.echo("The ranker is in use from now on." if won else "No ranker is used: task samples (M1) propose.")


@kb.command("evaluate")
def evaluate_base(as_json: JsonOption = False) -> None:
    """What the base is worth: each part of the groups is forgotten in turn and searched with what is left."""
    from . import plugins
    from .kb.hindsight import hindsight
    from .kb.replay import cases, replay
    from .knowledge import Base
    from .report.text import hindsight_lines, replay_lines

    registry = plugins.load()
    base = Base.open(productions=registry.productions)
    found = list(cases(base, registry))
    rows, told = replay(base, found), hindsight(base, found)
    text = [*replay_lines(rows), "", *hindsight_lines(told)]
    typer.echo(json.dumps({"replay": rows, "hindsight": told}) if as_json else "\n".join(text))
