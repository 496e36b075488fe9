"""Stage 3: describe, recall, propose: what is known before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .. import library, machine
from ..describe import describe
from ..describe.sentence import embed
from ..events import Story
from ..kinds import Family, Prior
from ..knowledge import Base
from ..propose import Blocks, Here, Portfolio, Ranker, moved, propose
from ..records import Description, Recall
from ..request import Request
from ..setting import Setting


@dataclass(frozen=True)
class Foresight:
    """What is known before anything is trained."""

    base: Base
    description: Description
    families: Mapping[str, Family]  # those that take the data, and those that the description calls for
    recall: Recall
    prior: Prior
    portfolio: Portfolio
    learnt: tuple[library.Entry, ...]  # productions that the base has learnt


def foresee(setting: Setting, base: Base, request: Request, story: Story) -> Foresight:
    """Stage 3: describe, recall what past runs of similar data taught, propose."""
    dataset, registry = setting.dataset, setting.registry
    description = describe_setting(setting)
    story.tell("describe", numbers=description.numbers, seconds=description.seconds)
    recall = (
        Recall()
        if request.cold
        else base.recall(description, task=setting.task, blind=dataset.card if request.blind else None)
    )
    here = Here(dataset.rows * len(dataset.folds), request.budget.room, machine.speed(), request.budget.seconds)
    families = setting.families | setting.called_for(description)
    # What was trained on all there is would remember what is to be forgotten.
    folders = [] if request.cold or request.blind else base.folders
    ranker, learnt = Ranker.find(folders), library.find(folders, registry)
    blocks = Blocks(library.known(registry.productions, learnt), setting.views, description.numbers)
    prior = propose(setting.task, recall, families, setting.metric, setting.baseline, here, blocks)
    portfolio = Portfolio(recall, prior, families, here, judge=ranker.about(description) if ranker else None)
    if request.narrow:
        prior = replace(prior, soft=moved(prior.soft, setting.narrowing))
        portfolio.keep_to({c.key for c in portfolio.candidates if setting.narrowing.holds(c.config)})
    story.tell("propose", neighbours=prior.neighbours, nothing_like_it=prior.nothing_like_it, odds=prior.odds,
               reasons=prior.reasons, forecast=prior.forecast, behind=prior.behind, left_out=setting.left_out,
               loss=setting.output.choose_loss(dataset.state, setting.task.metric, dataset.target))  # fmt: skip
    return Foresight(base, description, families, recall, prior, portfolio, tuple(learnt))


def describe_setting(setting: Setting) -> Description:
    """The description of prepared data and their task."""
    probes = setting.registry.probes.values()
    return describe(setting.dataset, setting.transform, setting.output, probes, embed)
