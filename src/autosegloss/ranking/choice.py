"""The choice among candidates: the best lower bound wins, unless a simpler candidate is as good within the noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from autosegloss.ranking.field import Difference, Field
from autosegloss.ranking.guards import Guard, broken

WITHIN = 1.0  # standard errors of a difference that are noise (the one-standard-error rule, Breiman et al. 1984)


@dataclass(frozen=True)
class Recommendation:
    """What is recommended.

    Args:
        name: Of the recommended candidate.
        winner: The candidate with the best lower bound; another one than `name` where that is simpler and as good.
        margin: The difference between the two; None if they are the same.
    """

    name: str
    winner: str
    margin: Difference | None = None


@dataclass(frozen=True)
class Contest:
    """A field of candidates, the metric that counts, and the guard.

    Args:
        field: The candidates, judged on the images that choices are made on.
        target: The metric that counts.
        levels: {candidate: how simple it is}, 0 for the simplest.
        guard: What other metrics may lose against the baseline.
    """

    field: Field
    target: str
    levels: Mapping[str, int]
    guard: Guard

    @cached_property
    def baseline(self) -> str:
        """The simplest candidate, which the others are compared with."""
        return min(self.field.runs, key=self.levels.__getitem__)

    def broken(self, name: str) -> dict[str, float]:
        """The guarded metrics that a candidate spoils, with their differences to the baseline."""
        differences = {metric: self.field.difference(name, self.baseline, metric).value for metric in self.guard}
        return broken(differences, self.guard)

    def ranked(self, names: Sequence[str]) -> list[str]:
        """Candidates, best first: those that keep the guard before the others, each part by its lower bound."""
        return sorted(names, key=lambda name: (not self.broken(name), self._lower_bound(name)), reverse=True)

    def promoted(self, names: Sequence[str], count: int) -> list[str]:
        """The baseline, and the `count` best others by their scores: the candidates worth more seeds."""

        def strength(name: str) -> tuple[bool, float]:
            return not self.broken(name), self.field.mean(name, self.target).value

        others = sorted((name for name in names if name != self.baseline), key=strength, reverse=True)
        return [self.baseline, *others[:count]]

    def recommended(self, names: Sequence[str]) -> Recommendation:
        """The candidate among `names` to recommend, which must hold the baseline."""
        ranked = self.ranked(names)
        winner = ranked[0]
        kept = [name for name in ranked if bool(self.broken(name)) == bool(self.broken(winner))]
        for level in sorted({self.levels[name] for name in kept}):
            if level == self.levels[winner]:
                break
            simpler = next(name for name in kept if self.levels[name] == level)
            margin = self.field.difference(winner, simpler, self.target)
            if margin.value <= WITHIN * margin.stderr:
                return Recommendation(simpler, winner, margin)
        return Recommendation(winner, winner)

    def _lower_bound(self, name: str) -> float:
        """Of the difference to the baseline."""
        return self.field.difference(name, self.baseline, self.target).low
