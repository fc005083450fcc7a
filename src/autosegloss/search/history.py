"""What a search has seen: its trials and steps, kept on disk as they come, and what to choose from them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from autosegloss.errors import InputError
from autosegloss.search.records import JsonLines

Theta = tuple[float, ...]


@dataclass(frozen=True)
class Trial:
    """One training with the loss of `theta` (D,): `score` is the searched metric, None unless status is "ok".

    `scores`: all metrics by name, nan where undefined. Raises ValueError where score and status disagree.
    """

    step: int
    index: int
    theta: Theta
    score: float | None
    scores: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    status: Literal["ok", "failed", "diverged"] = "ok"
    message: str = ""

    def __post_init__(self):
        object.__setattr__(self, "theta", tuple(map(float, self.theta)))
        finished = self.score is not None
        if finished != (self.status == "ok") or (finished and not math.isfinite(self.score)):
            raise ValueError(f"expected a finite score exactly for status 'ok', got {self.score} for '{self.status}'")


@dataclass(frozen=True)
class Step:
    """The trials that were drawn around `mean` (D,); failed trials count nowhere."""

    index: int
    mean: Theta
    trials: tuple[Trial, ...]

    @property
    def scored(self) -> list[tuple[Trial, float]]:
        """Trials and what they count for, by index: a diverged one as the worst that finished; [] if none did."""
        finished = [trial.score for trial in self.trials if trial.score is not None]
        worst = {"diverged": min(finished)} if finished else {}
        counted = [(trial, worst.get(trial.status, trial.score)) for trial in self.trials]
        return [(trial, score) for trial, score in counted if score is not None]

    @property
    def scores(self) -> list[float]:
        """What the trials count for, in the order of their indices."""
        return [score for _, score in self.scored]

    @property
    def average(self) -> float | None:
        """Mean score (fsum: the same bits whatever the platform), None where no trial finished."""
        scores = self.scores
        return math.fsum(scores) / len(scores) if scores else None

    @property
    def best(self) -> float | None:
        """Highest score, None where no trial finished."""
        return max(self.scores, default=None)

    @property
    def std(self) -> float | None:
        """Standard deviation of the scores (divided by their number), None where no trial finished."""
        scores, average = self.scores, self.average
        return math.sqrt(math.fsum((s - average) ** 2 for s in scores) / len(scores)) if scores else None


class History:
    """All trials and steps of a search, kept in `directory`, whose records it continues; or in memory.

    trials.jsonl has a line a trial, steps.jsonl a line a step. What comes again replaces what was there: a
    resumed search may repeat what it lost. Raises InputError on damaged records.
    """

    def __init__(self, directory: str | Path | None = None):
        self._trials: dict[tuple[int, int], Trial] = {}
        self._means: dict[int, Theta] = {}
        self._trial_lines = directory and JsonLines(Path(directory, "trials.jsonl"))
        self._step_lines = directory and JsonLines(Path(directory, "steps.jsonl"))
        if directory:
            self._read()

    def _read(self) -> None:
        for record in self._trial_lines.read():
            trial = _trial(record, self._trial_lines.path)
            self._trials[trial.step, trial.index] = trial
        for record in self._step_lines.read():
            self._means[record["index"]] = tuple(record["mean"])

    def add(self, trial: Trial) -> None:
        """Keep one trial, at once on the disk."""
        self._trials[trial.step, trial.index] = trial
        if self._trial_lines:
            # JSON has no nan: an undefined metric is null there
            scores = {name: value if math.isfinite(value) else None for name, value in trial.scores.items()}
            self._trial_lines.append({**asdict(trial), "scores": scores})

    def close_step(self, index: int, mean: Iterable[float]) -> Step:
        """End step `index`, whose trials were drawn around `mean` (D,)."""
        self._means[index] = tuple(map(float, mean))
        step = self._step(index)
        if self._step_lines:
            summary = {name: getattr(step, name) for name in ("index", "mean", "average", "best", "std")}
            self._step_lines.append(summary)
        return step

    @property
    def trials(self) -> list[Trial]:
        """All trials by step and index, those of a step that has not ended included."""
        return [self._trials[key] for key in sorted(self._trials)]

    @property
    def steps(self) -> list[Step]:
        """The steps that have ended, in order."""
        return [self._step(index) for index in sorted(self._means)]

    def _step(self, index: int) -> Step:
        return Step(index, self._means[index], tuple(t for t in self.trials if t.step == index))

    def best_step(self) -> Step:
        """The step of the highest average score: its mu is the paper's result (section 4.3).

        Raises InputError where no trial of an ended step has finished.
        """
        steps = [step for step in self.steps if step.scores]
        if not steps:
            raise InputError(f"expected finished trials, got {_account(self.trials)}")
        return max(steps, key=lambda step: step.average)

    def best_trials(self, k: int) -> list[Trial]:
        """The k finished trials of the highest scores, each theta once; best first, then earliest.

        Raises ValueError for a negative k.
        """
        if k < 0:
            raise ValueError(f"expected 0 or more trials, got {k}")
        finished = [trial for trial in self.trials if trial.score is not None]
        best: dict[Theta, Trial] = {}
        for trial in sorted(finished, key=lambda trial: -trial.score):
            best.setdefault(trial.theta, trial)
        return list(best.values())[:k]

    def candidates(self, k: int, last_mean: Iterable[float] | None = None) -> dict[str, Theta]:
        """What to train longer and compare, label -> theta (D,): the paper's mu, the last mu, the k best.

        `last_mean` (D,), the strategy's mean after its last `tell`, goes before the mu of the last step.
        Each theta comes once, under its first label.
        """
        best, last = self.best_step(), self.steps[-1]
        labelled = [(f"mu of step {best.index}", best.mean)]
        labelled += [(f"mu of step {last.index}", last.mean) if last_mean is None else ("last mu", last_mean)]
        labelled += [(f"sample {t.index} of step {t.step}", t.theta) for t in self.best_trials(k)]
        first: dict[Theta, str] = {}
        for label, theta in labelled:
            first.setdefault(tuple(map(float, theta)), label)
        return {label: theta for theta, label in first.items()}


def _trial(record: dict, path: Path) -> Trial:
    try:
        scores = {name: math.nan if value is None else value for name, value in record["scores"].items()}
        return Trial(**{**record, "scores": scores})
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(f"{path}: expected the trials of a search, got a line that is none") from None


def _account(trials: list[Trial]) -> str:
    # what went wrong is most likely the same in all
    return f"{len(trials)} that did not; the last one says: {trials[-1].message}" if trials else "none"
