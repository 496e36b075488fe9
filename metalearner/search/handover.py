"""A searcher that fails ends no run: what was found until then is kept, and another one goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..kinds import Moment, Proposer
from ..records import Proposal, Trial


class Handover(Proposer):
    """Asks one proposer until that fails, and then, for good, another one; what that raises is raised."""

    def __init__(self, first: Proposer, instead: Callable[[], Proposer], failed: Callable[[Exception], None]) -> None:
        """`failed` is told once, with what was raised."""
        self.name, self.proposer, self.failed = first.name, first, failed
        self.instead: Callable[[], Proposer] | None = instead

    def ask(self, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """At most n proposals of whoever is asked now."""
        return self._safely(lambda proposer: proposer.ask(n, seen, moment))

    def siblings(self, proposal: Proposal, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """At most n more of the same shape."""
        return self._safely(lambda proposer: proposer.siblings(proposal, n, seen, moment))

    def _safely(self, asked: Callable[[Proposer], list[Proposal]]) -> list[Proposal]:
        try:
            return asked(self.proposer)
        except Exception as problem:  # whatever a plugin raises
            if self.instead is None:
                raise
            self.failed(problem)
            self.proposer, self.instead = self.instead(), None
            return asked(self.proposer)
