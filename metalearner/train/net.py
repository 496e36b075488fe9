"""The learner of networks. Torch is imported when something is fitted or loaded, not before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from .. import grammar
from ..arrays import Fold
from ..kinds import Aim, Fitted, Learner, Model, Output, Rung
from ..records import Config, View

# Seconds that a job of several configs should take.
JOB = 4.0
# A step of a stack costs as much as its networks' weights and so many more: what is paid once (benchmarks/throughput.py).
OVERHEAD = 45_000
# Seconds of a usual core to learn once from a row: for each product of its forward pass, each number written there, and each
# step, of which a row has its share in the batch: as in the fits that are on record (benchmarks/effort.py).
A_PRODUCT, A_NUMBER, A_STEP = 9e-11, 4e-9, 1e-3
# What recipes say that say nothing of it.
PASSES, BATCH = 1, 64


class NetLearner(Learner):
    """Builds the network a derivation describes and descends its loss."""

    name = "net"

    def accepts(self, views: Mapping[str, View], output: Output) -> bool:
        """Any views, as long as the output names a loss."""
        return bool(output.losses)

    def fit(
        self, configs: Sequence[Config], folds: Sequence[Fold], aim: Aim, upto: Rung, resume: Sequence[Path | None]
    ) -> Iterator[Fitted]:
        """A network for each config and fold, small ones of one shape side by side; all share the time that is left."""
        import torch

        from .fits import Fits, share

        torch.set_num_threads(upto.threads)
        left = len(configs)
        for _, run in groupby(range(len(configs)), lambda i: grammar.shape(configs[i], aim.registry.productions)):
            alike = list(run)
            fits = Fits([configs[i] for i in alike], folds, aim, upto, [resume[i] for i in alike])
            for i, (models, facts) in zip(alike, fits.run(share(upto.deadline, len(alike), left))):
                yield Fitted(configs[i], tuple(models), facts)
            left -= len(alike)

    def warm(self, views: Mapping[str, View]) -> None:
        """An accelerator takes seconds to begin, and its convolutions some more."""
        import torch

        from .. import accelerator

        if device := accelerator.device():
            small = torch.zeros(1, 1, 4, 4, device=device)
            torch.conv2d(small, small)

    def load(self, folder: Path, aim: Aim) -> Model:
        """Rebuild the network and fill in its weights."""
        from .model import load

        return load(folder, aim)

    def partial(self, config: Config) -> bool:
        """Some of the epochs tell about all of them."""
        return True

    def look(self, config: Config, views: Mapping[str, View], aim: Aim) -> Mapping[str, Any]:
        """Its parameters and the work of one row, without building it."""
        from ..grammar.cost import cost

        found = cost(config, views, aim.output.width(aim.state), aim.registry.productions)
        recipe = config.parts["recipe"][0].numbers
        passes, batch = (float(recipe.get(name, usual)) for name, usual in (("epochs", PASSES), ("batch_size", BATCH)))
        once = A_PRODUCT * found.multiply_adds + A_NUMBER * found.activations + A_STEP / batch
        return {"parameters": found.parameters, "multiply_adds": found.multiply_adds, "weight_bytes": found.bytes,
                "effort": passes * once}  # fmt: skip

    def together(self, facts: Mapping[str, Any]) -> int:
        """As many as a stack of that size holds, and as are done in a few seconds."""
        from .fits import most_networks, small

        if not facts.get("stackable") or not small(facts):
            return 1
        parameters, folds, batch = (int(facts.get(k, 1)) for k in ("parameters", "folds", "batch"))
        once = OVERHEAD / parameters  # in networks
        networks = (once + batch * folds) * JOB / max(1e-3, batch * float(facts["fit_seconds"])) - once
        return max(1, int(min(most_networks(parameters), networks)) // folds)
