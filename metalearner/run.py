"""The conductor: joins the stages and hands objects on. The whole story is in `run`; `steps/` says each line at length."""

from __future__ import annotations

import time

from . import machine, runs, sources
from .data import read
from .events import Listener, Story
from .knowledge import Base
from .observers import Observers, tell
from .plugins import Registry
from .request import Request
from .result import Run
from .search import Clock, interruptible, ledger
from .steps.finish import combine, deliver, judge, measure
from .steps.foresee import foresee
from .steps.hunt import seek, set_out, workers
from .steps.learn import learn
from .steps.seconds import reserve
from .steps.understand import formulate_and_prepare, prepared
from .warm import Warm

# Seconds that callbacks have for their last words; what takes longer goes on by itself.
LAST_WORDS = 3.0


@machine.threads_kept()
def run(
    request: Request, registry: Registry, listen: Listener = lambda event: None, base: Base | None = None,
    began: float | None = None,
) -> Run:  # fmt: skip
    """Data and a sentence in; a trained, measured, packaged model out, and the base one run richer.

    The budget counts from `began` on `time.monotonic()`, from now when it is not given.
    """
    clock = Clock(request.budget, began or time.monotonic(), reserve(request.budget))
    source = sources.find(request.source)
    for name in request.callbacks:
        registry.get("callbacks", name)
    with runs.owned(request, source.name) as folder, interruptible(clock):
        clock.count(ledger.read(folder / "trials"))
        observers = Observers(request.callbacks, folder)
        story = Story(folder / "events.jsonl", listen, clock.began, observers.failed)
        reading = None if prepared(folder) else read(source.source, registry.modalities)
        with workers(request, registry, folder, clock) as executor, Warm() as warm:
            setting, sealed = formulate_and_prepare(request, source, reading, registry, folder, story)
            hunt = set_out(request, executor, clock, setting, sealed, folder, story, warm)
            foresight = foresee(setting, base or Base.open(productions=registry.productions), request, story)
            trials, stopped = seek(hunt, request, setting, foresight, story)
        warm.wait()
        ensemble = combine(trials, foresight.prior, sealed, folder, setting, clock, story)
        answers, held = measure(ensemble, sealed, setting, folder, hunt.opened)
        scorecard = judge(answers, held, ensemble.predictor.state, trials, setting, foresight, clock, story)
        limits = deliver(folder, ensemble, trials, answers, scorecard, setting, clock, story)
        kept, refused = learn(trials, setting, foresight) if request.learn else (0, [])
        done = Run(folder, setting.task, tuple(trials), scorecard, foresight.prior, clock.elapsed, registry,
                   clock.interrupted, stopped, limits, machine.cpu_seconds())  # fmt: skip
        runs.write(folder / "run.json", done.to_json())
        story.tell("learned", records=kept, refused=refused, seconds=clock.elapsed, done=True)
        for name, why in (*tell(registry.hook, done.to_json()), *observers.close(LAST_WORDS)):
            story.tell("callback", name=name, problem=why)
        return done
