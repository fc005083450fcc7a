"""What a search records: its trials, its steps, and the thetas to choose from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

FlatTheta = tuple[float, ...]
"""The control values of all curves as one vector (D,), each number in [0, 1]."""

Status = Literal["ok", "failed", "diverged"]


class Choice(NamedTuple):
    """A theta (D,) that a search may end with, a label that says where it comes from, and its score."""

    label: str
    theta: FlatTheta
    score: float


@dataclass(frozen=True)
class Trial:
    """One training with the surrogate loss of `theta`.

    Args:
        step: Index of its step.
        index: Index within the step.
        theta: Control values (D,).
        score: The target metric on the hold-out images; None unless `status` is "ok".
        scores: All metrics by name; nan where a metric is undefined.
        seconds: Duration of the run.
        status: "ok", "failed" (no result), or "diverged" (the loss or the weights became infinite or nan).
        message: The reason of a failure.

    Raises:
        ValueError: `score` and `status` contradict each other.
    """

    step: int
    index: int
    theta: FlatTheta
    score: float | None
    scores: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    status: Status = "ok"
    message: str = ""

    def __post_init__(self) -> None:
        finite = self.score is not None and math.isfinite(self.score)
        if not (finite if self.status == "ok" else self.score is None):
            raise ValueError(f"expected a finite score exactly for status 'ok', got {self.score} for '{self.status}'")


@dataclass(frozen=True)
class Step:
    """A step of the search: the trials whose thetas were drawn around `mean` (D,)."""

    index: int
    mean: FlatTheta
    trials: tuple[Trial, ...]

    @property
    def scored(self) -> list[tuple[Trial, float]]:
        """Each trial that counts, with its score.

        A diverged trial gets the lowest score among the finished trials; a failed trial does not count. The list is
        empty if no trial has finished.
        """
        worst = min((trial.score for trial in self.trials if trial.score is not None), default=None)
        scores = [worst if trial.status == "diverged" else trial.score for trial in self.trials]
        return [(trial, score) for trial, score in zip(self.trials, scores, strict=True) if score is not None]

    @property
    def scores(self) -> list[float]:
        """The scores of the trials that count."""
        return [score for _, score in self.scored]

    @property
    def average(self) -> float | None:
        """Mean score, None if no trial has finished; `fsum` gives the same bits on every platform."""
        scores = self.scores
        return math.fsum(scores) / len(scores) if scores else None

    @property
    def best(self) -> float | None:
        """Highest score, None if no trial has finished."""
        return max(self.scores, default=None)

    @property
    def std(self) -> float | None:
        """Population standard deviation of the scores, None if no trial has finished."""
        scores, average = self.scores, self.average
        if average is None:
            return None
        return math.sqrt(math.fsum((score - average) ** 2 for score in scores) / len(scores))
