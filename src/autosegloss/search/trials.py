"""What a search records: its trials, its steps, and the thetas to choose from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

FlatTheta = tuple[float, ...]
"""The control values of all curves as one vector (D,), each number in the interval of the curve family."""

SEARCHED = "searched"
"""The name of a loss whose theta a strategy has proposed."""

Status = Literal["ok", "failed", "diverged"]


class Choice(NamedTuple):
    """A theta (D,) that a search may end with, a label that says where it comes from, and its score."""

    label: str
    theta: FlatTheta
    score: float


class Origin(NamedTuple):
    """The trial of another step from whose saved state a trial goes on."""

    step: int
    trial: int


@dataclass(frozen=True)
class Proposal:
    """A trial that is to be trained.

    Args:
        name: Of the loss, as tables call it; the same loss at other scales has the same name.
        overrides: The overrides that choose the loss, without its scale.
        theta: Control values (D,) of a surrogate, () of other losses.
        scale: The factor before the loss.
        point: The point of a strategy that it is, () if no strategy has asked for it.
        phase: The part of the search that it belongs to.
        pause_at: The training step at which it pauses; None trains to the end.
        origin: The trial from whose saved state it goes on; None begins from w_0.
    """

    name: str
    overrides: tuple[str, ...]
    theta: FlatTheta = ()
    scale: float = 1.0
    point: FlatTheta = ()
    phase: str = "theta"
    pause_at: int | None = None
    origin: Origin | None = None

    @classmethod
    def load(cls, record: Mapping[str, Any]) -> Proposal:
        """The proposal of the plain types that JSON keeps of it."""
        lists = {name: tuple(record[name]) for name in ("overrides", "theta", "point")}
        origin = None if record["origin"] is None else Origin(*record["origin"])
        return cls(**{**record, **lists, "origin": origin})


@dataclass(frozen=True)
class Trial:
    """One training with a loss, most often the surrogate loss of `theta`.

    Args:
        step: Index of its step.
        index: Index within the step.
        theta: Control values (D,); () of a loss without any.
        score: The target metric on the hold-out images; None unless `status` is "ok".
        scores: All metrics by name; nan where a metric is undefined.
        seconds: Duration of the run.
        status: "ok", "failed" (no result), or "diverged" (the loss or the weights became infinite or nan).
        message: The reason of a failure.
        name: Of the loss.
        scale: The factor before the loss.
        phase: The part of the search that it belongs to.
        pause_at: The training step at which it has paused; None trained to the end.
        origin: The trial from whose saved state it went on; None began from w_0.

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
    name: str = SEARCHED
    scale: float = 1.0
    phase: str = "theta"
    pause_at: int | None = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        finite = self.score is not None and math.isfinite(self.score)
        if not (finite if self.status == "ok" else self.score is None):
            raise ValueError(f"expected a finite score exactly for status 'ok', got {self.score} for '{self.status}'")


@dataclass(frozen=True)
class Step:
    """A step of the search: trials that are trained together, with the `mean` (D,) that thetas are drawn around."""

    index: int
    mean: FlatTheta
    trials: tuple[Trial, ...]

    @property
    def phase(self) -> str:
        """The part of the search that its trials belong to."""
        return self.trials[0].phase

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
