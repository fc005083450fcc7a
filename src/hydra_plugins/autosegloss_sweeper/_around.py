"""The runs of a search that are not trials: what is checked, and timed, before the first trial."""

from __future__ import annotations

from autosegloss.search import Choice

from ._candidates import searched_candidate
from ._finals import final_runs, final_seeds
from ._task import Task


def runs_around(task: Task) -> dict[str, list[str]]:
    """{folder: overrides} of every kind of run that is not a trial; mu_0 stands for a theta that is found."""
    warmup = {"warmup": task.settings.warmup} if task.settings.warmup is not None else {}
    if not task.settings.finalists:
        return {**warmup, **task.comparison.jobs()}
    found = searched_candidate(Choice("mu", tuple(task.initial_mean()), 0.0))
    return {**warmup, **dict(final_runs(task, [*task.candidates, found], final_seeds(task)[:1]))}
