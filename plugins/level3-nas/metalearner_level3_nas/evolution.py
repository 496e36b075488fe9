"""The searcher of a run: a portfolio first, then whichever arm promises most for its seconds, always a tenth by chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from metalearner import grammar
from metalearner.kinds import Family, Moment, Proposer, Scope, Searcher
from metalearner.records import Config, Proposal, Trial

from .bayes import STARTUP, Studies, Study, siblings
from .chance import UNIFORM, allowed, anywhere, softly
from .gain import Arm, Ledger, Outlook, cooled, outlooks
from .history import INVENTED, Entry, History, arm_of
from .population import Child, Population
from .steps import near, smaller

# Proposals of the portfolio that come first, how many of them may be of one family, and of one that is cheap here.
OPENING, OPENING_EACH, OPENING_CHEAP = 10, 2, 4
# Of all seconds, what is dear and what is cheap. Then come families that had no turn, dear or not: the first so many, those
# that were never timed at last.
DEAR, CHEAP, LEFT_FAMILIES = 0.15, 0.03, 3
# Later than that, as a share of the time, nothing is tried for the only reason that it was not.
EARLY = 0.5
# A family whose best is this far behind gets no second turn in the opening, and no more than one config at a time.
BEHIND = 0.05
# Members of the portfolio that are looked at for one.
PORTFOLIO = 24
# By chance anything may be tried that takes no longer than a moment, however much of the seconds chance has had.
A_MOMENT = 0.5
# In a family: the share of small steps from its best config beside its TPE, which with few configs knows little.
NEAR, NEAR_FIRST, FEW = 0.35, 0.8, 20
# Tries in one arm until the next one is asked; networks composed to choose one from, where they take longer than a moment.
TRIES, LITTER = 8, 4
# The level of automation of what was invented.
LEVEL = 3
# A family that failed so often without a model has nothing more to say; nor has one of which so many were too large.
HOPELESS, TOO_LARGE = 3, 10


class Evolution(Searcher):
    """Regularised evolution over skeletons, TPE over numbers, and a budget in seconds to share between them."""

    name = "evolution"

    def begin(self, scope: Scope) -> Proposer:
        """A proposer for one run."""
        return Engine(scope)


@dataclass(frozen=True)
class _Draft:
    """A proposal on its way: what, by which arm, in which words."""

    config: Config
    family: str
    arm: str
    reason: str
    seconds: float | None = None


class Engine(Proposer):
    """Reads the trials shown, ranks the arms, asks the best one for a config."""

    name = "evolution"

    def __init__(self, scope: Scope) -> None:
        self.scope, self.history = scope, History(scope)
        self.studies = Studies(self.history)
        self.population = Population(scope, self.history, self.studies)
        self.ledger = Ledger(self.history, scope.prior.odds)
        self.expected: dict[str, float] = {}  # seconds of a config by family, from the portfolio

    def ask(self, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """At most n proposals that were not made before, each with the numbers it was decided by."""
        self.history.learn(seen)
        found: list[Proposal] = []
        while len(found) < n:
            draft = self._draft(seen, moment)
            if draft is None:
                break
            seconds = draft.seconds if draft.seconds is not None else self.expected.get(draft.family)
            odds = self.scope.prior.odds.get(draft.family)
            found.append(Proposal(draft.config, draft.family, draft.arm, draft.reason, odds, seconds))
            self.history.expect(found[-1])
        return found

    def siblings(self, proposal: Proposal, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """The same shape with other loose numbers: by the study of its skeleton, or near the proposal.

        Chance has no company: what it drew is a question about one config, and most of its kind are bad. Nor has the
        opening, nor a family that is far behind.
        """
        self.history.learn(seen)
        opens = proposal.arm == "portfolio" and self._opened() <= OPENING + LEFT_FAMILIES
        if opens or proposal.arm == "uniform" or self._behind(proposal):
            return []
        family = self.scope.families.get(proposal.family)
        skeleton = family.presets[0] if family else proposal.config.skeleton
        name = proposal.family if family else grammar.identity(proposal.config)
        entries = [e for e in self.history.of([arm_of(proposal.family)]) if e.family == proposal.family]
        return siblings(proposal, n, self.studies.of(name, skeleton, entries), self.history)

    def _behind(self, proposal: Proposal) -> bool:
        """Whether the best of a proposal's arm is no longer in sight of the best of all."""
        skills = [(e, s) for e in self.history.entries.values() if (s := self.history.skill(e)) is not None]
        own = [s for e, s in skills if arm_of(e.family) == arm_of(proposal.family)]
        return bool(own) and max(own) < max(s for _, s in skills) - BEHIND

    def _draft(self, seen: Sequence[Trial], moment: Moment) -> _Draft | None:
        """The next proposal: opening, chance's share, then arms from the most promising on."""
        families = allowed(self.scope.families, moment)
        portfolio = self._portfolio(seen, moment, families)
        opening = self._opening(portfolio, moment)
        if opening is not None:
            return opening
        arms = self._arms(families, moment)
        ranked = outlooks(arms, self.history.noise, moment.spent, self._typical(arms))
        if self.history.count("uniform") < UNIFORM * len(self.history.asked):
            draft = self._uniform(ranked, families, moment)
            if draft is not None:
                return draft
        for outlook in ranked:
            draft = self._from(outlook, families, portfolio, moment)
            if draft is not None:
                return draft
        return self._uniform(ranked, families, moment)

    # -- the opening ---------------------------------------------------------------------------------

    def _portfolio(self, seen: Sequence[Trial], moment: Moment, families: Mapping[str, Family]) -> list[Proposal]:
        """What did well on similar data, best first, that is new and allowed."""
        asked = self.scope.portfolio.ask(PORTFOLIO, seen, moment)
        for p in asked:
            if p.expected_seconds is not None:
                self.expected.setdefault(p.family, p.expected_seconds)
        return [p for p in asked if p.family in families and self.history.fresh(p.config)]

    def _opening(self, portfolio: Sequence[Proposal], moment: Moment) -> _Draft | None:
        """The portfolio's next, unless its family had its turns; not what the run began by itself; what is dear last."""
        begun = {self.history.key(f.presets[0]) for f in self.scope.families.values() if "quick" in f.tags}
        turns: dict[str, int] = {}
        for proposal in [*(e.trials[0].proposal for e in self.history.entries.values()), *self.history.open.values()]:
            turns[proposal.family] = turns.get(proposal.family, 0) + 1
        known = [p for p in portfolio if self.history.key(p.config) not in begun]
        shares = [self._share(p, moment) for p in known]
        for anew in (True, False):  # a first turn for every family comes before any second one
            for p, share in zip(known, shares):
                turn = OPENING_CHEAP if share <= CHEAP else OPENING_EACH
                ready = share <= DEAR and turns.get(p.family, 0) < turn and self._opened() < OPENING
                if ready and (p.family not in turns) == anew and not self._behind(p):
                    return _Draft(p.config, p.family, "portfolio", p.reason, p.expected_seconds)
        left = [p for p in known if p.family not in turns]
        if not left or self._opened() >= OPENING + LEFT_FAMILIES or moment.spent > EARLY:
            return None
        first = min(left, key=lambda p: p.expected_seconds is None)
        return _Draft(first.config, first.family, "portfolio", first.reason, first.expected_seconds)

    def _share(self, proposal: Proposal, moment: Moment) -> float:
        """Of all seconds, what a proposal's first rung is expected to take; a network that was never timed is taken for dear."""
        if math.isinf(moment.seconds_left):  # trials are counted, not seconds
            return 0.0
        if proposal.expected_seconds is None:
            tags = self.scope.families[proposal.family].tags
            return 1.0 if proposal.config.production == "net" or "network" in tags else DEAR
        first = self.scope.first_share(proposal.config) * proposal.expected_seconds
        return first * (1 - moment.spent) / moment.seconds_left

    def _opened(self) -> int:
        """Configs that the opening has taken from the portfolio."""
        return self.history.count("portfolio")

    # -- arms ----------------------------------------------------------------------------------------

    def _arms(self, families: Mapping[str, Family], moment: Moment) -> list[Arm]:
        """The arms that may be tried now and can be expected to finish something."""
        arms = [self._arm(name, self.expected.get(name)) for name in sorted(families)]
        if self.population.possible and (moment.levels is None or LEVEL in moment.levels):
            nets = [
                a.seconds for a in arms if families[a.name].presets[0].production == "net" and a.seconds is not None
            ]
            base = max((i.skill for i in self.population.individuals()), default=None)
            # Its next one is a child of any network, of the catalogue too, and costs about as much.
            expected = float(np.median(nets)) if nets else None
            arms.append(replace(self._arm(INVENTED, expected), base=base))
        able = [a for a in arms if a.best is not None or not self._hopeless(a.name)]
        return [a for a in able if (a.first_seconds or 0.0) <= moment.seconds_left]

    def _hopeless(self, name: str) -> bool:
        entries = self.history.of([name])
        refused = sum(e.refused for e in entries)
        return refused >= TOO_LARGE or len(entries) - refused >= HOPELESS

    def _arm(self, name: str, expected: float | None) -> Arm:
        under_way = sum(arm_of(p.family) == name for p in self.history.open.values())
        return self.ledger.arm(name, self.history.of([name]), under_way, expected)

    def _typical(self, arms: Sequence[Arm]) -> float:
        """Seconds of a config of an arm that was never timed: the median of the others."""
        known = [a.seconds for a in arms if a.seconds is not None]
        return float(np.median(known)) if known else 1.0

    def _from(
        self, outlook: Outlook, families: Mapping[str, Family], portfolio: Sequence[Proposal], moment: Moment
    ) -> _Draft | None:
        """A new config of an arm; None when it has none to give."""
        if outlook.arm.name == INVENTED:
            return self._invented(outlook, moment)
        return self._of_family(outlook, families[outlook.arm.name], portfolio)

    def _invented(self, outlook: Outlook, moment: Moment) -> _Draft | None:
        """One of a few networks, the likelier the less it costs: of what nobody has fitted, cost is all that is known.

        The first ones of a run are judged by their effort alone, and the least is taken: what was learnt from them must
        not have cost a good part of the seconds.
        """
        rng = self.history.generator()
        litter: list[Child] = []
        for _ in range(TRIES):
            child = self.population.child(rng)
            if child is not None:
                litter.append(child)
            if litter and (len(litter) == LITTER or (litter[-1].seconds or math.inf) <= A_MOMENT):
                break
        if not litter:
            return None
        child = self._chosen(litter, moment, rng)
        reason = f"{child.origin}; {outlook.reason}"
        return _Draft(child.config, child.family, child.arm, reason, child.seconds or outlook.seconds)

    def _chosen(self, litter: Sequence[Child], moment: Moment, rng: np.random.Generator) -> Child:
        """By chance, in inverse proportion to what each costs as arms' costs are cooled; by effort where none was timed."""
        seconds = [child.seconds for child in litter if child.seconds is not None]
        if len(seconds) < len(litter):
            return min(litter, key=lambda c: self.population.effort(c.config) or math.inf)
        worth = np.array([cooled(s, moment.spent) for s in seconds]) ** -1.0
        return litter[int(rng.choice(len(litter), p=worth / worth.sum()))]

    def _of_family(self, outlook: Outlook, family: Family, portfolio: Sequence[Proposal]) -> _Draft | None:
        """What the portfolio and the presets still have while little is known; then its TPE, and steps from its best."""
        entries = self.history.of([family.name])
        known = [(p.config, p.reason) for p in portfolio if p.family == family.name]
        known += [(c, f"preset {i + 1}") for i, c in enumerate(family.presets) if self.history.fresh(c)]
        if known and len(entries) < STARTUP:
            return _Draft(known[0][0], family.name, "portfolio", f"{known[0][1]}; {outlook.reason}", outlook.seconds)
        if entries and all(e.refused for e in entries):
            return self._smaller(family, entries[-1], outlook)
        study = self.studies.of(family.name, family.presets[0], entries)
        rng = self.history.generator()
        close = rng.random() < (NEAR_FIRST if len(study) < FEW else NEAR)
        for i in range(TRIES):  # what has nothing new any more gives way to the other
            by_steps = close == (i < TRIES // 2)
            config, arm, words = self._near(family, entries, rng) if by_steps else self._by_study(family, study, rng)
            if config is not None and self.history.fresh(config):
                return _Draft(config, family.name, arm, f"{words}; {outlook.reason}", outlook.seconds)
        return None

    def _smaller(self, family: Family, last: Entry, outlook: Outlook) -> _Draft | None:
        """Of a family that was never small enough, half as much as last time, or less; None where there is no less of it."""
        config, before = smaller(last.config, self.scope.productions), last.config
        while not self.history.fresh(config):
            if config == before:
                return None
            config, before = smaller(config, self.scope.productions), config
        words = f"less than #{last.first}, which asked for too much"
        return _Draft(config, family.name, "evolution", f"{words}; {outlook.reason}", outlook.seconds)

    def _by_study(self, family: Family, study: Study, rng: np.random.Generator) -> tuple[Config | None, str, str]:
        """By what this run has found out of a family; while that is little, by what did well on similar data."""
        drawn = study.draw()
        if drawn is not None:
            return grammar.with_numbers(family.presets[0], drawn), "tpe", f"TPE on {len(study)} configs"
        known = len(self.scope.prior.soft.get(family.name, ()))
        config = softly(family, self.scope, rng) if known else None
        return config, "evolution", f"near one of {known} configs that did well on similar data"

    def _near(
        self, family: Family, entries: Sequence[Entry], rng: np.random.Generator
    ) -> tuple[Config | None, str, str]:
        """A small step from a family's best numbers, or from its default ones."""
        skills = [(s, e) for e in entries if (s := self.history.cautious(e)) is not None]
        skill, best = max(skills, key=lambda pair: pair[0], default=(math.nan, None))
        parent = best.config if best else family.presets[0]
        config = near(parent, self.scope.productions, rng)
        words = f"near #{best.first} (skill {skill:.2f})" if best else "near the default"
        return config, "evolution", words

    # -- chance --------------------------------------------------------------------------------------

    def _uniform(self, ranked: Sequence[Outlook], families: Mapping[str, Family], moment: Moment) -> _Draft | None:
        """Any arm, any numbers, any derivation; not what would take too much of what is left."""
        spent = self.history.seconds()
        most = max(A_MOMENT, UNIFORM * spent - self.history.seconds("uniform"))
        affordable = [o for o in ranked if o.seconds <= min(most, moment.seconds_left)]
        rng = self.history.generator()
        for _ in range(TRIES if affordable else 0):
            outlook = affordable[int(rng.integers(len(affordable)))]
            if outlook.arm.name == INVENTED:
                child = self.population.anew(rng)
                if child is not None and (child.seconds or 0.0) <= min(most, moment.seconds_left):
                    reason = f"derived by chance, one of {len(affordable)} arms"
                    return _Draft(child.config, child.family, "uniform", reason, child.seconds or outlook.seconds)
                continue
            family = families[outlook.arm.name]
            config = anywhere(family, self.scope.productions, rng)
            if self.history.fresh(config):
                reason = f"numbers by chance, one of {len(affordable)} arms"
                return _Draft(config, family.name, "uniform", reason, outlook.seconds)
        return None
