"""Every door into the system. A plugin implements any of these functions, marked with `hookimpl`."""

from __future__ import annotations

import pluggy

from .kinds import (
    Callback,
    Check,
    Executor,
    Family,
    Form,
    Learner,
    Loss,
    Metric,
    Modality,
    Optimiser,
    Output,
    Probe,
    Production,
    Searcher,
    Target,
    Transform,
)

hookspec = pluggy.HookspecMarker("metalearner")
hookimpl = pluggy.HookimplMarker("metalearner")


@hookspec
def register_modalities() -> list[Modality]:
    "Kinds of data: how to recognise, read and view them."


@hookspec
def register_transforms() -> list[Transform]:
    "Ways from decoded fields to tensors, fitted on training rows only."


@hookspec
def register_outputs() -> list[Output]:
    "What may be predicted: classes, numbers, boxes, rankings."


@hookspec
def register_metrics() -> list[Metric]:
    "Scores, each with its direction and its perfect value."


@hookspec
def register_losses() -> list[Loss]:
    "Differentiable losses, per row."


@hookspec
def register_optimisers() -> list[Optimiser]:
    "Ways to step parameters."


@hookspec
def register_productions() -> list[Production]:
    "Blocks and other expansions of the grammar."


@hookspec
def register_learners() -> list[Learner]:
    "Interpreters of root productions: networks, trees, linear models."


@hookspec
def register_families() -> list[Family]:
    "Named sets of derivations with the presets to try first."


@hookspec
def register_probes() -> list[Probe]:
    "Measurements that describe a data set."


@hookspec
def register_searchers() -> list[Searcher]:
    "Ways to decide what to try next."


@hookspec
def register_executors() -> list[Executor]:
    "Places where trials run."


@hookspec
def register_forms() -> list[Form]:
    "What networks may become in a bundle instead of ONNX."


@hookspec
def register_targets() -> list[Target]:
    "What networks can be deployed to beside this program."


@hookspec
def register_checks() -> list[Check]:
    "What `metalearner doctor` examines: whether what a plugin needs is here and works."


@hookspec
def register_callbacks() -> list[Callback]:
    "Who else is told what happens in a run, where a run asks for it."


@hookspec
def run_finished(run: dict) -> None:
    "After a run is stored: its JSON, to observe and not to change."
