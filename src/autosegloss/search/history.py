"""The history of a search: its trials and steps, written to disk as they come, and the choices made from them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from operator import attrgetter
from pathlib import Path
from typing import Any

from autosegloss.errors import InputError
from autosegloss.search.records import STEPS_FILE, TRIALS_FILE, JsonLines
from autosegloss.search.trials import Choice, FlatTheta, Origin, Step, Trial


class History:
    """All trials and steps of a search, in memory and, with a directory, in its trials.jsonl and steps.jsonl.

    A record with the indices of an earlier one replaces it: a resumed search may repeat a trial.

    Args:
        directory: The folder of the search; records in it are read and continued. None: in memory only.

    Raises:
        InputError: A record is damaged.

    Example:
        >>> history = History()
        >>> history.add(Trial(step=0, index=0, theta=(0.2, 0.7), score=0.5))
        >>> history.close_step(0, mean=(0.5, 0.5)).average
        0.5
        >>> history.best_mean()
        Choice(label='mu of step 0', theta=(0.5, 0.5), score=0.5)
    """

    def __init__(self, directory: str | Path | None = None):
        self._trials: dict[tuple[int, int], Trial] = {}
        self._means: dict[int, FlatTheta] = {}
        self._trial_lines = None if directory is None else JsonLines(Path(directory, TRIALS_FILE))
        self._step_lines = None if directory is None else JsonLines(Path(directory, STEPS_FILE))
        for trial in _read_trials(self._trial_lines):
            self._trials[trial.step, trial.index] = trial
        self._means.update(_read_means(self._step_lines))

    def add(self, trial: Trial) -> None:
        """Record one trial, on disk when the call returns."""
        self._trials[trial.step, trial.index] = trial
        if self._trial_lines is not None:
            # JSON has no nan: an undefined metric becomes null.
            scores = {name: value if math.isfinite(value) else None for name, value in trial.scores.items()}
            self._trial_lines.append({**asdict(trial), "scores": scores})

    def close_step(self, index: int, mean: Iterable[float]) -> Step:
        """End step `index`, whose thetas were drawn around `mean` (D,), and record its summary."""
        self._means[index] = tuple(map(float, mean))
        step = self._step(index)
        if self._step_lines is not None:
            summary = {name: getattr(step, name) for name in ("index", "mean", "average", "best", "std")}
            self._step_lines.append(summary)
        return step

    @property
    def trials(self) -> list[Trial]:
        """All trials, sorted by step and index, including those of a step that has not ended."""
        return [self._trials[key] for key in sorted(self._trials)]

    @property
    def steps(self) -> list[Step]:
        """The steps that have ended, in order."""
        return [self._step(index) for index in sorted(self._means)]

    def _step(self, index: int) -> Step:
        return Step(index, self._means[index], tuple(t for t in self.trials if t.step == index))

    def best_mean(self) -> Choice:
        """The mu of the step with the highest mean score: the result of the paper's algorithm 1.

        Raises:
            InputError: No trial of an ended step has finished.
        """
        means = [
            Choice(f"mu of step {step.index}", step.mean, step.average)
            for step in self.steps
            if step.average is not None
        ]
        if not means:
            raise self._nothing_finished()
        return max(means, key=attrgetter("score"))

    def best_samples(self, k: int) -> list[Choice]:
        """The thetas of the k best trials, best first; each theta once; of equal scores the earlier first.

        Raises:
            ValueError: k is negative.
            InputError: No trial has finished.
        """
        if k < 0:
            raise ValueError(f"expected 0 or more trials, got {k}")
        samples = [
            Choice(f"sample {trial.index} of step {trial.step}", trial.theta, trial.score)
            for trial in self.trials
            if trial.score is not None
        ]
        if not samples:
            raise self._nothing_finished()
        best: dict[FlatTheta, Choice] = {}
        for sample in sorted(samples, key=attrgetter("score"), reverse=True):
            best.setdefault(sample.theta, sample)
        return list(best.values())[:k]

    def candidates(self, k: int, last_mean: Iterable[float] | None = None) -> dict[str, FlatTheta]:
        """{label: theta (D,)} of the thetas to train longer: the paper's mu, the last mu and the k best samples.

        Args:
            k: Number of samples.
            last_mean: The strategy's mean (D,) after its last `tell`; None: the mean of the last step.

        Returns:
            Each theta once, under its first label.

        Raises:
            ValueError: k is negative.
            InputError: No trial of an ended step has finished.
        """
        best, last = self.best_mean(), self.steps[-1]
        labelled: list[tuple[str, Iterable[float]]] = [(best.label, best.theta)]
        labelled.append((f"mu of step {last.index}", last.mean) if last_mean is None else ("last mu", last_mean))
        labelled += [(sample.label, sample.theta) for sample in self.best_samples(k)]
        first: dict[FlatTheta, str] = {}
        for label, theta in labelled:
            first.setdefault(tuple(map(float, theta)), label)
        return {label: theta for theta, label in first.items()}

    def _nothing_finished(self) -> InputError:
        """The error of a search without finished trials; the last message stands for all, which most often agree."""
        trials = self.trials
        reason = f"{len(trials)} that did not; the last one says: {trials[-1].message}" if trials else "none"
        return InputError(f"expected finished trials, got {reason}")


def _read_trials(lines: JsonLines | None) -> list[Trial]:
    if lines is None:
        return []
    try:
        return [_trial(record) for record in lines.read()]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(lines, "trials", error) from None


def _trial(record: dict[str, Any]) -> Trial:
    scores = {name: math.nan if value is None else value for name, value in record["scores"].items()}
    origin = record.get("origin")
    kept = {"theta": tuple(map(float, record["theta"])), "scores": scores, "origin": origin and Origin(*origin)}
    return Trial(**{**record, **kept})


def _read_means(lines: JsonLines | None) -> dict[int, FlatTheta]:
    if lines is None:
        return {}
    try:
        return {record["index"]: tuple(map(float, record["mean"])) for record in lines.read()}
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(lines, "steps", error) from None


def _damaged(lines: JsonLines, kind: str, error: Exception) -> InputError:
    """`error` itself if it names the damaged line already."""
    if isinstance(error, InputError):
        return error
    return InputError(f"{lines.path}: expected the {kind} of a search, got a line that is not one; restore the file")
