"""A fit that does what the config's x says: fine, die, or hang. Workers import it by name."""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from metalearner import kinds
from metalearner.records import Trial


@dataclass(frozen=True)
class Moody(kinds.Begin):
    folder: Path = Path()

    def __call__(self):
        return self.fit

    def at(self, folder):
        return replace(self, folder=folder)

    def fit(self, job):
        for number, proposal in zip(job.numbers, job.proposals):
            x = proposal.config.numbers["x"]
            if x == 0.1:
                os._exit(9)
            if x == 0.2:
                time.sleep(60)
            yield Trial(number, proposal, "ok", 0, 1.0, 1.0, 1.0, 0.1, 0.1)
