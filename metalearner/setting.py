"""A task with its data, and everything the registry holds that deals with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from . import grammar
from .dataset import Dataset
from .errors import TaskError, unknown
from .grammar import Narrowing
from .kinds import Aim, Family, Metric, Modality, Output, Production, Transform
from .plugins import Registry
from .records import Config, Description, Task, View

# What search composes out of the grammar is nobody's family.
INVENTED, INVENTED_LEVEL = "invented", 3


@dataclass(frozen=True)
class Setting:
    """What every stage after preparation is handed pieces of."""

    dataset: Dataset
    registry: Registry
    only: tuple[str, ...] = ()  # families that may be used, all when empty; INVENTED stands for what search composes
    narrow: tuple[str, ...] = ()  # numbers that are searched less widely, as `Narrowing.read` takes them
    # Families that failed when they were asked, and how; filled as they are asked.
    left_out: dict[str, str] = field(default_factory=dict, init=False, compare=False)

    @property
    def task(self) -> Task:
        """What is wanted."""
        return self.dataset.task

    @property
    def modality(self) -> Modality:
        """The kind of data."""
        return self.registry.get("modalities", self.task.modality)

    @property
    def transform(self) -> Transform:
        """From decoded fields to tensors."""
        return self.registry.get("transforms", self.modality.transform)

    @property
    def output(self) -> Output:
        """What is predicted."""
        return self.registry.get("outputs", self.task.output)

    @property
    def metric(self) -> Metric:
        """How it is scored."""
        return self.registry.get("metrics", self.task.metric)

    @property
    def aim(self) -> Aim:
        """Output, state and metric in one, for learners."""
        return Aim(self.output, self.dataset.state, self.metric, self.registry)

    @cached_property
    def narrowing(self) -> Narrowing:
        """What `narrow` says. Raises TaskError where it cannot be."""
        return Narrowing.read(self.narrow, self.registry.productions)

    @cached_property
    def productions(self) -> dict[str, Production]:
        """What search may make configs of: the registry's productions, as far as they are not narrowed."""
        return self.narrowing.of(self.registry.productions)

    @cached_property
    def views(self) -> dict[str, View]:
        """How the data look as tensors."""
        return self.dataset.sample(200, self.transform)[1]

    def look(self, config: Config) -> Mapping[str, Any]:
        """What is known of a config before it is fitted; nothing where that cannot be told.

        A block that cannot be built ends no run here: its fit, which a worker tries, says what is wrong.
        """
        learner = self.registry.get("learners", config.production)
        try:
            return learner.look(config, self.views, self.aim)
        except Exception:
            return {}

    @cached_property
    def baseline(self) -> float:
        """The naive baseline's score on the training rows."""
        target, state = self.dataset.target, self.dataset.state
        return self.metric.score(target, self.output.baseline(state, target, len(target)), state)

    @property
    def levels(self) -> frozenset[int] | None:
        """The levels of automation that `only` leaves; None: all of them."""
        if not self.only:
            return None
        named = {self._fitting[name].level for name in self.only if name in self._fitting}
        return frozenset(named | ({INVENTED_LEVEL} if INVENTED in self.only else set()))

    @cached_property
    def families(self) -> dict[str, Family]:
        """Families whose learner is there and that take these views for this output, every number written out."""
        return {name: f for name, f in self._fitting.items() if f.evidence is None}

    def called_for(self, description: Description) -> dict[str, Family]:
        """Families that take part because the description shows what they need."""
        numbers = {**description.numbers, **self._limits}
        asked = {name: self._safely(name, partial(self._shown, f, numbers)) for name, f in self._fitting.items()}
        return {name: family for name, family in asked.items() if family}

    def _shown(self, family: Family, numbers: Mapping[str, float | None]) -> Family | None:
        """With the presets that these numbers call for; None where none is."""
        presets = family.evidence(numbers) if family.evidence else ()
        if family.evidence and not presets and family.name in self.only:
            presets = family.presets  # it was asked for by name
        return self._written(family, presets) if presets else None

    @property
    def _limits(self) -> dict[str, float | None]:
        """What the task limits, as families are told of it."""
        limits = self.task.limits
        return {"limit.bytes": None if limits.size is None else float(limits.size), "limit.seconds": limits.latency}

    @cached_property
    def _fitting(self) -> dict[str, Family]:
        named = set(self.only) - {INVENTED}
        for name in named - set(self.registry.families):
            raise TaskError(*unknown("family", name, self.registry.families, "More: metalearner plugin list"))
        views, _ = self.views, self.narrowing  # what is wrong with these is no family's failure
        asked = {n: self._safely(n, partial(self._taking, f, views)) for n, f in self.registry.families.items()}
        accepting = {name: family for name, family in asked.items() if family}
        if accepting and self.only and not named & accepting.keys() and INVENTED not in self.only:
            usual = ", ".join(name for name, f in accepting.items() if f.evidence is None)
            axes = (
                f"A family takes data by their axes; these are {self.task.modality}, and {self.task.output} is asked."
            )
            failed = [f"'{name}' fails on them ({why})." for name, why in self.left_out.items() if name in named]
            raise TaskError(f"These data are not for {' or '.join(sorted(named))}.", " ".join(failed) or axes,
                            f"Take one of {usual}, or leave --families away.")  # fmt: skip
        return {name: family for name, family in accepting.items() if not named or name in named}

    def _taking(self, family: Family, views: Mapping[str, View]) -> Family | None:
        """Every number written out; None where its learner is not there, or it does not take these views for this output."""
        learner = self.registry.learners.get(family.presets[0].production)
        fits = learner is not None and learner.accepts(views, self.output) and family.accepts(views)
        return self._written(family, family.presets) if fits else None

    def _safely(self, name: str, asked: Callable[[], Family | None]) -> Family | None:
        """What a family answers; nothing where its plugin fails, which costs the run this family alone."""
        try:
            return asked()
        except Exception as problem:
            self.left_out[name] = f"{type(problem).__name__}: {problem}"
            return None

    def _written(self, family: Family, presets: Iterable[Config]) -> Family:
        """With these presets, every number written out and moved into the space that is left."""
        return replace(
            family, presets=tuple(self.narrowing.moved(grammar.complete(p, self.productions)) for p in presets)
        )
