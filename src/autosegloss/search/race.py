"""A race of losses: all begin, the best go on, and thetas and scales near the best are tried on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import attrgetter

import numpy as np

from autosegloss.errors import InputError
from autosegloss.search.procedure import Ahead, Procedure
from autosegloss.search.space import Space
from autosegloss.search.strategy import Strategy
from autosegloss.search.trials import SEARCHED, FlatTheta, Origin, Proposal, Step, Trial

ENTRY, SCALE, THETA, RUNG = "losses", "scales", "theta", "going on"
"""The phases of a race, in their order."""


class Race(Procedure):
    """Known losses and proposed thetas compete on the hold-out images, for longer and longer trainings.

    1. Every entry is trained to the first rung.
    2. The best of them, and the first, are tried at `factor` times and 1 / `factor` of their scale.
    3. The first step of thetas is drawn around those of all entries in turn. Then the strategy begins with what is
       known and proposes thetas with their scales. This ends after T steps, or if `patience` of them have not raised
       the best score.
    4. The best of all, and the first entry at its best scale, go on from their saved states to the next rung, `keep` of
       them; then to the next.

    Args:
        strategy: Proposes points of `space`.
        steps: T.
        proposal: Makes the proposal of a point.
        entries: The known losses; the first is the one that the others are compared with.
        space: What a point means.
        rungs: Training steps at which trials pause, rising.
        keep: How many trials go on to each rung but the first.
        tuned: How many entries are tried at other scales.
        factor: Between two scales that are tried.
        patience: None does all T steps.
        seed: Of the first step of thetas.

    Raises:
        InputError: A setting is out of range.
    """

    def __init__(
        self,
        strategy: Strategy,
        steps: int,
        proposal: Callable[[FlatTheta], Proposal],
        entries: Sequence[Proposal],
        space: Space,
        rungs: Sequence[int],
        keep: int = 8,
        tuned: int = 0,
        factor: float = 4.0,
        patience: int | None = None,
        seed: int = 0,
    ):
        super().__init__(strategy, steps, proposal)
        self.entries, self.space, self.rungs = list(entries), space, list(rungs)
        self.keep, self.tuned, self.factor, self.patience = keep, tuned, factor, patience
        self.seed = seed
        if not self.rungs or self.rungs != sorted({*self.rungs}) or self.rungs[0] < 1:
            raise InputError(f"rungs: expected rising numbers of training steps, got {self.rungs}")
        if not self.entries:
            raise InputError("candidates: expected one loss or more for a race, got none")

    def ask(self, ended: Sequence[Step]) -> list[Proposal]:
        phases = [step.phase for step in ended]
        if not phases:
            return [replace(entry, pause_at=self.rungs[0], phase=ENTRY) for entry in self.entries]
        if {*phases} == {ENTRY} and (other_scales := self._other_scales(ended)):
            return other_scales
        if RUNG not in phases and phases.count(THETA) < self.steps and not self._settled(ended):
            return [replace(each, pause_at=self.rungs[0], phase=THETA) for each in self._thetas(ended)]
        rung = 1 + phases.count(RUNG)
        return self._promoted(ended, self.rungs[rung]) if rung < len(self.rungs) else []

    def needed(self, ended: Sequence[Step]) -> set[Origin]:
        """The trials from whose saved states others may still go on."""
        rung = sum(step.phase == RUNG for step in ended)
        if not _scored(ended) or rung + 1 >= len(self.rungs):
            return set()
        return {proposal.origin for proposal in self._promoted(ended, self.rungs[rung + 1]) if proposal.origin}

    def outlook(self, ended: Sequence[Step]) -> list[Ahead]:
        phases, first = [step.phase for step in ended], self.rungs[0]
        thetas = 0 if RUNG in phases or self._settled(ended) else self.steps - phases.count(THETA)
        ahead = [
            Ahead(ENTRY, 0 if phases else len(self.entries), first),
            Ahead(SCALE, 2 * (self.tuned + 1) if self.tuned and {*phases} <= {ENTRY} else 0, first),
            Ahead("thetas", thetas * self.strategy.samples, first),
        ]
        more = [longer - shorter for shorter, longer in pairwise(self.rungs)]
        return [*ahead, *(Ahead(RUNG, self.keep + 1, steps) for steps in more[phases.count(RUNG) :])]

    def ranking(self, ended: Sequence[Step]) -> list[Trial]:
        """The last trial of every loss that has a score, the longest trained first, of these the best."""
        went_on = {trial.origin for step in ended for trial in step.trials if trial.score is not None}
        last = [trial for trial in _scored(ended) if Origin(trial.step, trial.index) not in went_on]
        return sorted(last, key=lambda trial: (-(trial.pause_at or 0), -_score(trial)))

    def result(self, ended: Sequence[Step], searched: int = 2) -> list[Trial]:
        """The best trial of each name, best first, and of proposed thetas the best `searched`.

        The best `keep` of them, with the first entry as the last if it is not among them.
        """
        left: dict[str, int] = {SEARCHED: searched}
        best = []
        for trial in self.ranking(ended):
            if left.setdefault(trial.name, 1):
                left[trial.name] -= 1
                best.append(trial)
        first = [trial for trial in best[self.keep :] if trial.name == self.entries[0].name]
        return best[: self.keep] + first

    def _other_scales(self, ended: Sequence[Step]) -> list[Proposal]:
        """The best entries, and the first, at the scales beside theirs."""
        best = sorted(_scored(ended), key=_score, reverse=True)[: self.tuned]
        names = dict.fromkeys([*(trial.name for trial in best), *([self.entries[0].name] if self.tuned else [])])
        chosen = [entry for entry in self.entries if entry.name in names]
        return [
            replace(entry, scale=scale, pause_at=self.rungs[0], phase=SCALE)
            for entry in chosen
            for scale in (entry.scale / self.factor, entry.scale * self.factor)
        ]

    def _thetas(self, ended: Sequence[Step]) -> list[Proposal]:
        """The next step of thetas: around those of the entries where there are several, else of the strategy."""
        centres = [self.space.point(entry.theta, entry.scale) for entry in self.entries if entry.theta]
        done = sum(step.phase == THETA for step in ended)
        if len(centres) > 1 and not done:
            return self._around(centres)
        if done == int(len(centres) > 1):
            self._begin(ended)
        return self._points()

    def _around(self, centres: Sequence[FlatTheta]) -> list[Proposal]:
        """M points drawn around several in turn; the strategy has not asked for them."""
        rng, samples = np.random.default_rng(self.seed), self.strategy.samples
        turns = [centres[index % len(centres)] for index in range(samples)]
        drawn = [self.strategy.around(np.array(centre)).sample(rng, 1)[0] for centre in turns]
        return [replace(self.proposal(tuple(point.tolist())), point=()) for point in drawn]

    def _begin(self, ended: Sequence[Step]) -> None:
        """Have the strategy begin with the thetas that are known."""
        known = [trial for trial in _scored(ended) if trial.theta]
        if known:
            points = np.array([self.space.point(trial.theta, trial.scale) for trial in known])
            self.strategy.begin(points, np.array([trial.score for trial in known]))

    def _settled(self, ended: Sequence[Step]) -> bool:
        """Whether the last `patience` steps of thetas have not raised the best score of all before them."""
        thetas = [step for step in ended if step.phase == THETA]
        if self.patience is None or len(thetas) < self.patience:
            return False
        last = thetas[-self.patience :]
        before = [step for step in ended if step not in last]
        return max(_scores(last), default=-1.0) <= max(_scores(before), default=-1.0)

    def _promoted(self, ended: Sequence[Step], pause_at: int) -> list[Proposal]:
        """The best that have reached the last rung, and the first entry, from their saved states on."""
        last = max(trial.pause_at or 0 for trial in _scored(ended))
        there = sorted((t for t in _scored(ended) if t.pause_at == last), key=_score, reverse=True)
        base = next((trial for trial in there if trial.name == self.entries[0].name), None)
        best = there[: self.keep]
        if base is not None and base not in best:
            best.append(base)
        return [self._going_on(trial, pause_at) for trial in best]

    def _going_on(self, trial: Trial, pause_at: int) -> Proposal:
        entry = next((each for each in self.entries if each.name == trial.name), None)
        known = entry or self.proposal(self.space.point(trial.theta, trial.scale))
        origin = Origin(trial.step, trial.index)
        return replace(
            known, scale=trial.scale, theta=trial.theta, point=(), phase=RUNG, pause_at=pause_at, origin=origin
        )


def _scored(steps: Sequence[Step]) -> list[Trial]:
    return [trial for step in steps for trial in step.trials if trial.score is not None]


def _scores(steps: Sequence[Step]) -> Iterator[float]:
    return map(_score, _scored(steps))


_score = attrgetter("score")
