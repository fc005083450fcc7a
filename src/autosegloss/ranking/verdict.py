"""The verdict of a comparison: how each candidate stands, which one is recommended, and why, as numbers and words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autosegloss.ranking.choice import Contest, Recommendation
from autosegloss.ranking.field import Difference, Field, Mean

Split = Mapping[str, "Standing"]
"""How the candidates stand on one split, by name."""


@dataclass(frozen=True)
class Standing:
    """How a candidate stands on one split.

    Args:
        seeds: The number of its trainings.
        scores: {metric: mean over seeds}.
        differences: {metric: difference to the baseline}.
    """

    seeds: int
    scores: Mapping[str, Mean]
    differences: Mapping[str, Difference]


@dataclass(frozen=True)
class Verdict:
    """What a comparison of candidates has found.

    Args:
        contest: The candidates on the images that the choice was made on.
        recommendation: The choice.
        splits: {split: how the candidates stand}; the first is that of the contest.
        table: The split of the table, which no choice has seen where there is another.
    """

    contest: Contest
    recommendation: Recommendation
    splits: Mapping[str, Split]
    table: str

    @classmethod
    def of(cls, contest: Contest, finalists: Sequence[str], fields: Mapping[str, Field], table: str) -> Verdict:
        """Choose among the finalists; `fields` are the candidates on each split."""
        splits = {split: _standings(field, contest.baseline) for split, field in fields.items()}
        return cls(contest, contest.recommended(finalists), splits, table)

    @property
    def chosen_on(self) -> str:
        """The split that the choice was made on."""
        return next(iter(self.splits))

    def chosen_score(self, name: str) -> float | None:
        """The mean score of a candidate in the target on the images of the choice; None if it has not finished."""
        standing = self.splits[self.chosen_on].get(name)
        return None if standing is None else standing.scores[self.contest.target].value

    def reason(self) -> str:
        """Why the recommended candidate is recommended, in a sentence."""
        name, winner, target = self.recommendation.name, self.recommendation.winner, self.contest.target
        base = self.contest.baseline
        if margin := self.recommendation.margin:
            more = f"{100 * margin.value:+.1f} points of {target}, with a standard error of {100 * margin.stderr:.1f}"
            return f"{winner} differs from {name} by {more}: that is within the noise, and {name} is simpler"
        if name == base:
            return f"no other loss beats {base} in {target} beyond the noise"
        gain = self.splits[self.chosen_on][name].differences[target]
        interval = f"{100 * gain.value:+.1f} points ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
        return f"of all candidates it has the best lower bound in {target}, {interval} against {base}"

    def broken_text(self, name: str) -> str:
        """What a candidate does to the guarded metrics: "kept", or those it spoils; "" without a guard."""
        broken = self.contest.broken(name)
        spoilt = ", ".join(f"{metric} {100 * value:+.1f}" for metric, value in broken.items())
        return spoilt or ("kept" if self.contest.guard else "")

    def record(self) -> dict[str, Any]:
        """All of it in plain types."""
        return {
            "metric": self.contest.target,
            "recommended": self.recommendation.name,
            "reason": self.reason(),
            "baseline": self.contest.baseline,
            "best_lower_bound": self.recommendation.winner,
            "guard": dict(self.contest.guard),
            "chosen_on": self.chosen_on,
            "scored_on": self.table,
            "candidates": [self._candidate(name) for name in self.splits[self.table]],
        }

    def _candidate(self, name: str) -> dict[str, Any]:
        target = self.contest.target
        chosen = self.splits[self.chosen_on][name]
        return {
            "name": name,
            "guard_ok": not self.contest.broken(name),
            **_plain(self.splits[self.table][name], target),
            "choice": _plain(chosen, target),
        }


def _standings(field: Field, baseline: str) -> dict[str, Standing]:
    return {name: _standing(field, name, baseline) for name in field.runs}


def _standing(field: Field, name: str, baseline: str) -> Standing:
    return Standing(
        len(field.runs[name]),
        {metric: field.mean(name, metric) for metric in field.formulas},
        {metric: field.difference(name, baseline, metric) for metric in field.formulas},
    )


def _plain(standing: Standing, target: str) -> dict[str, Any]:
    difference = standing.differences[target]
    return {
        "seeds": standing.seeds,
        "mean": _number(standing.scores[target].value),
        "stderr": standing.scores[target].stderr,
        "scores": {metric: _number(mean.value) for metric, mean in standing.scores.items()},
        "difference": {
            "mean": _number(difference.value),
            "low": _number(difference.low),
            "high": _number(difference.high),
            "stderr": _number(difference.stderr),
        },
        "differences": {metric: _number(other.value) for metric, other in standing.differences.items()},
    }


def _number(value: float) -> float | None:
    """JSON has no nan."""
    return value if math.isfinite(value) else None
