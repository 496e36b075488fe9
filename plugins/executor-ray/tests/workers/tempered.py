"""A fit that does what the config's `act` says, and leaves the files a trial leaves. Actors import it by name."""

import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from metalearner import kinds
from metalearner.records import Trial, plain


@dataclass(frozen=True)
class Tempered(kinds.Begin):
    folder: Path
    began: float
    clock: float = 0.0  # seconds by which the node's clock is ahead

    def __call__(self):
        if self.clock:
            real = time.monotonic
            time.monotonic = lambda: real() + self.clock
        while not (self.folder / "data" / "dataset.json").exists():
            time.sleep(0.02)
        json.loads((self.folder / "data" / "dataset.json").read_text())
        return self.fit

    def at(self, folder):
        return replace(self, folder=folder)

    def fit(self, job):
        for i, (number, proposal) in enumerate(zip(job.numbers, job.proposals)):
            begun = time.monotonic()
            getattr(self, proposal.config.production)(proposal.config.numbers, job, i)
            facts = {"left": job.rung.deadline - time.monotonic(), "seen": self.seen(), "pid": os.getpid()}
            now = time.monotonic()
            trial = Trial(number, proposal, "ok", 0, 1.0, 1.0, 1.0, now - begun, now - self.began, facts)
            part = self.folder / "trials" / f".{number}"
            (part / "0").mkdir(parents=True)
            (part / "0" / "weights").write_bytes(b"w" * int(proposal.config.numbers.get("bytes", 10)))
            (part / "trial.json").write_text(json.dumps(plain(trial)))
            part.rename(self.folder / "trials" / trial.name)
            yield trial

    def seen(self):
        files = self.folder.rglob("*")
        data = (p for p in (self.folder / "data").rglob("*") if p.is_file())
        return sorted(str(p.relative_to(self.folder)) for p in (*data, *files) if p.is_file() or p.is_symlink())

    def work(self, numbers, job, i):
        time.sleep(numbers.get("seconds", 0.0))

    def die(self, numbers, job, i):
        time.sleep(0.5)  # Ray sends what was finished in a thread of this process
        os._exit(9)

    def hang(self, numbers, job, i):
        time.sleep(600)

    def fail(self, numbers, job, i):
        raise ArithmeticError("one too many")

    def fill(self, numbers, job, i):
        raise OSError(28, "No space left on device")

    def hoard(self, numbers, job, i):
        bytearray(1 << 50)

    def go_on(self, numbers, job, i):
        assert (self.folder / "trials" / job.resume[i] / "0" / "weights").read_bytes()
