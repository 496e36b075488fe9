"""A fit that does what the config's x says: fine, die, or hang. Workers import it by name."""

import os
import time
from dataclasses import dataclass

from metalearner.records import Trial


@dataclass(frozen=True)
class Moody:
    def __call__(self):
        return self.fit

    def fit(self, job):
        x = job.proposal.config.numbers["x"]
        if x == 0.1:
            os._exit(9)
        if x == 0.2:
            time.sleep(60)
        return Trial(job.number, job.proposal, "ok", 0, 1.0, 1.0, 1.0, 0.1, 0.1)
