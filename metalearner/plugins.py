"""Load what is installed, check it, list it, and hand it on as a frozen Registry.

Called only where a process begins: cli, app, worker, server. Stages receive the Registry.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import pluggy

from . import hookspecs
from .errors import PluginError, nearest, unknown

BUILTINS = "metalearner.builtins"
KINDS = (
    *("modalities", "transforms", "outputs", "metrics", "losses", "optimisers", "productions", "learners"),
    *("families", "probes", "searchers", "executors", "forms", "targets", "checks", "callbacks"),
)


@dataclass(frozen=True)
class Plugin:
    """One plugin as found: loaded with what it brings, or failed with the reason."""

    name: str
    distribution: str
    version: str
    brings: Mapping[str, tuple[str, ...]]
    failure: str = ""


@dataclass(frozen=True)
class Registry:
    """What is available, by kind and name. Read-only."""

    modalities: Mapping[str, Any]
    transforms: Mapping[str, Any]
    outputs: Mapping[str, Any]
    metrics: Mapping[str, Any]
    losses: Mapping[str, Any]
    optimisers: Mapping[str, Any]
    productions: Mapping[str, Any]
    learners: Mapping[str, Any]
    families: Mapping[str, Any]
    probes: Mapping[str, Any]
    searchers: Mapping[str, Any]
    executors: Mapping[str, Any]
    forms: Mapping[str, Any]
    targets: Mapping[str, Any]
    checks: Mapping[str, Any]
    callbacks: Mapping[str, Any]
    plugins: tuple[Plugin, ...]
    hook: Any = None

    def get(self, kind: str, name: str) -> Any:
        """Look a name up in one of the kinds; PluginError with the nearest name when it is not there."""
        known = getattr(self, kind)
        if name not in known:
            raise PluginError(
                *unknown(kind[:-1] if kind != "families" else "family", name, known, "More: metalearner plugin list")
            )
        return known[name]


def load(extra: Iterable[ModuleType] = (), only: Iterable[str] | None = None) -> Registry:
    """Load built-ins and every installed entry point of group "metalearner", each in its own try.

    `METALEARNER_PLUGINS=a,b` (or `only`) loads just these entry points, to isolate a suspect; `extra` and the
    folders of `METALEARNER_PLUGIN_PATH` add plugin modules that are not installed. One that fails is listed
    with its reason.
    """
    manager = pluggy.PluginManager("metalearner")
    manager.add_hookspecs(hookspecs)
    wanted = set(only) if only is not None else _from_environment()
    found: list[Plugin] = []
    taken: dict[tuple[str, str], str] = {}
    items: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}

    def admit(name: str, distribution: str, version: str, module: Any) -> None:
        try:
            module = module() if callable(module) and not isinstance(module, ModuleType) else module
            brings = _collect(name, module, taken)
            manager.register(module, name=name)
        except Exception as error:  # a failing plugin never takes the program down
            found.append(Plugin(name, distribution, version, {}, f"{type(error).__name__}: {error}"))
            return
        for kind, things in brings.items():
            for thing in things:
                items[kind][thing.name] = thing
                taken[kind, thing.name] = distribution
        found.append(Plugin(name, distribution, version, {k: tuple(t.name for t in v) for k, v in brings.items()}))

    admit("builtins", "metalearner", _version("metalearner"), importlib.import_module(BUILTINS))
    for point in sorted(metadata.entry_points(group="metalearner"), key=lambda p: p.name):
        if wanted is not None and point.name not in wanted:
            continue
        distribution = point.dist.name if point.dist else "unknown"
        version = point.dist.version if point.dist else "unknown"
        admit(point.name, distribution, version, point.load if not isinstance(point, ModuleType) else point)
    for module in [*extra, *_from_path(found)]:
        admit(module.__name__.rpartition(".")[2], "extra", getattr(module, "__version__", "unknown"), module)
    frozen = {kind: MappingProxyType(things) for kind, things in items.items()}
    for kind in ("modalities", "transforms"):
        for name, one in list(items[kind].items()):
            try:
                one.meet(frozen["modalities"], frozen["transforms"])
            except Exception as error:  # as for any plugin: named and shown, and gone
                del items[kind][name]
                found.append(Plugin(name, taken[kind, name], "unknown", {}, f"{type(error).__name__}: {error}"))
    return Registry(**frozen, plugins=tuple(found), hook=manager.hook)


def _collect(name: str, module: Any, taken: Mapping[tuple[str, str], str]) -> dict[str, list[Any]]:
    """Call every register hook of one plugin; refuse misspelt hooks, wrong types and taken names."""
    hooks = {h for h in dir(hookspecs) if h.startswith("register_") or h == "run_finished"}
    for attribute in dir(module):
        if hasattr(getattr(module, attribute, None), "metalearner_impl") and attribute not in hooks:
            raise PluginError(f"Plugin '{name}' defines '{attribute}', which is no hook.{nearest(attribute, hooks)}")
    brings: dict[str, list[Any]] = {}
    for kind in KINDS:
        hook = getattr(module, f"register_{kind}", None)
        if hook is None:
            continue
        things = hook()
        if not isinstance(things, list | tuple):
            raise PluginError(
                f"register_{kind} of plugin '{name}' returned {type(things).__name__}.", "A list is expected."
            )
        seen: set[str] = set()
        for thing in things:
            owner = taken.get((kind, thing.name)) or (name if thing.name in seen else None)
            if owner:
                raise PluginError(f"Plugin '{name}' brings '{thing.name}' to {kind}, which '{owner}' already does.")
            _check_type(name, kind, thing)
            seen.add(thing.name)
        if things:
            brings[kind] = list(things)
    return brings


def _check_type(name: str, kind: str, thing: Any) -> None:
    from . import kinds

    singular = {"modalities": "Modality", "families": "Family", "losses": "Loss"}.get(kind, kind[:-1].capitalize())
    if not isinstance(thing, getattr(kinds, singular)):
        raise PluginError(
            f"register_{kind} of plugin '{name}' gave a {type(thing).__name__}.", f"It must be a {singular}."
        )


def _from_environment() -> set[str] | None:
    listed = os.environ.get("METALEARNER_PLUGINS")
    return None if listed is None else {n.strip() for n in listed.split(",") if n.strip()}


def _from_path(found: list[Plugin]) -> list[ModuleType]:
    """Every .py file in the folders of METALEARNER_PLUGIN_PATH, for plugins that are still being written."""
    modules = []
    for folder in filter(None, os.environ.get("METALEARNER_PLUGIN_PATH", "").split(os.pathsep)):
        for file in sorted(Path(folder).glob("*.py")):
            name = f"metalearner_path_{file.stem}"
            spec = importlib.util.spec_from_file_location(name, file)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            try:
                sys.modules[name] = module  # dataclasses and pickling between processes look it up
                spec.loader.exec_module(module)
            except Exception as error:  # as for any plugin: named and shown
                found.append(Plugin(file.stem, str(file), "unknown", {}, f"{type(error).__name__}: {error}"))
                continue
            modules.append(module)
    return modules


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"
