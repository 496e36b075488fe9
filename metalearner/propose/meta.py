"""From what is remembered to what is believed, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import RunError
from ..kinds import Family, Metric, Prior
from ..records import Recall, Task
from ..space import landmark
from .forecast import forecast
from .gaps import gaps
from .leanings import Blocks, leanings
from .odds import odds
from .regret import Here, pasts
from .soft import soft


def propose(
    task: Task,
    recall: Recall,
    families: Mapping[str, Family],
    metric: Metric,
    baseline: float,
    here: Here | None = None,
    blocks: Blocks | None = None,
) -> Prior:
    """Odds by family and, where `blocks` are given, by production, with their reasons, a soft space, and a forecast of the score.

    `families` are those that accept the data; `baseline` is the naive score; `here` tells past seconds for the data at
    hand. Skills are forecast from neighbours with the same kind of output alone. Raises RunError when no family is left.
    """
    if not families:
        raise RunError(
            f"No installed family accepts these {task.modality} data for {task.output}.",
            "A family accepts views by their axes.",
            "metalearner plugin list",
        )
    here = here or Here()
    past = pasts(recall, here, as_reached=True)  # what was cut short was still reached
    found = odds(past, recall.nothing_like_it, tuple(families))
    believed = leanings(past, blocks) if blocks else {}
    outputs = {d: {e.task.get("output") for e in es} for d, es in recall.experiences.items()}
    alike = [p for p in past if task.output in outputs.get(p.neighbour.dataset, ())]
    return Prior(
        neighbours=recall.neighbours,
        nothing_like_it=recall.nothing_like_it,
        forecast=forecast(
            alike, recall.nothing_like_it, metric, baseline, here, landmark(blocks.numbers) if blocks else None
        ),
        odds={name: o.value for name, o in found.items()},
        reasons={name: o.reason for name, o in found.items()},
        productions={name: leaning.odds for name, leaning in believed.items()},
        leanings={name: leaning.reason for name, leaning in believed.items() if leaning.reason},
        soft=soft(past, tuple(families)),
        behind=gaps(alike, tuple(families)),
    )
