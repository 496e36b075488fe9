"""The learner of networks. Torch is imported when something is fitted or loaded, not before."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Fold
from ..kinds import Aim, Fitted, Learner, Model, Output, Rung
from ..records import Config, View


class NetLearner(Learner):
    """Builds the network a derivation describes and descends its loss."""

    name = "net"

    def accepts(self, views: Mapping[str, View], output: Output) -> bool:
        """Any views, as long as the output names a loss."""
        return bool(output.losses)

    def fit(
        self, configs: Sequence[Config], folds: Sequence[Fold], aim: Aim, upto: Rung, resume: Sequence[Path | None]
    ) -> Iterator[Fitted]:
        """One network a fold; folds share the time that is left evenly."""
        import torch

        from .loop import Training

        torch.set_num_threads(upto.threads)
        for at, (config, earlier) in enumerate(zip(configs, resume)):
            models, facts = [], []
            for i, fold in enumerate(folds):
                fits_left = (len(configs) - at) * len(folds) - i
                now = time.monotonic()
                deadline = now + (upto.deadline - now) / fits_left
                start = earlier / str(fold.index) if earlier is not None else None
                training = Training.begin(config, fold, aim, upto, start)
                training.run(fold, aim, upto, deadline)
                models.append(training.model(aim))
                facts.append(training.facts())
            yield Fitted(config, tuple(models), _summary(facts))

    def load(self, folder: Path, aim: Aim) -> Model:
        """Rebuild the network and fill in its weights."""
        from safetensors.torch import load_file

        from ..grammar.build import build
        from .loop import NetModel

        about = json.loads((folder / "net.json").read_text())
        views = {k: View.from_json(v) for k, v in about["views"].items()}
        config = Config.from_json(about["config"])
        net = build(config, views, aim.output.width(aim.state), aim.registry.productions)
        net.load_state_dict(load_file(folder / "weights.safetensors"))
        return NetModel(net.eval(), config, views, aim, {}, about.get("progress", {}))


def _summary(facts: list[dict[str, Any]]) -> dict[str, Any]:
    """Facts of the folds as one: what is equal once, the rest averaged, the first fold's curve."""
    return {
        "parameters": facts[0]["parameters"],
        "epochs": float(np.mean([f["epochs"] for f in facts])),
        "best_epoch": float(np.mean([f["best_epoch"] for f in facts])),
        "stopped": "deadline" if any(f["stopped"] == "deadline" for f in facts) else facts[0]["stopped"],
        "curve": facts[0]["curve"][:: max(1, len(facts[0]["curve"]) // 20)],
    }
