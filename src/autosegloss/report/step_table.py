"""A figure of the paper as a table whose rows are the steps of searches and whose columns are kinds of search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from autosegloss.errors import InputError
from autosegloss.report.archive import Archive
from autosegloss.report.cell import Cell
from autosegloss.report.conditions import deviations
from autosegloss.report.page import Page
from autosegloss.report.runs import SearchFolder
from autosegloss.report.selection import Selection
from autosegloss.search import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

StepScores = Mapping[str, float | None]
"""Scores in [0, 1] of one step: "mean", "best mean" and "best trial" (see `_step_scores`)."""


@dataclass(frozen=True)
class StepTable:
    """A table of the scores of searches, step by step.

    Args:
        title: the title of the page.
        series: {name: values at dotted keys in the configs of its searches}; each has three columns.
        match: values at dotted keys that tell which searches are of the kind of this table.
        where: values at dotted keys that a search of this kind must have, too.
        notes: sentences below the table.
    """

    title: str
    series: Mapping[str, Mapping[str, Any]]
    match: Mapping[str, Any] = field(default_factory=dict)
    where: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def page(self, archive: Archive) -> Page:
        """The table, filled with the searches that meet the conditions of a series, averaged over their seeds."""
        selection, columns = Selection(archive.searches), dict[str, list[Cell]]()
        for name, searches in self._searches(selection).items():
            columns |= _columns(name, searches)
        steps = range(max(map(len, columns.values()), default=0))
        rows = {
            f"step {step + 1}": {name: (cells[step : step + 1] or [Cell()])[0] for name, cells in columns.items()}
            for step in steps
        }
        notes = [*self.notes, *selection.notes("searches", archive)]
        return Page(self.title, list(columns), {"Scores": rows}, notes)

    def figure(self, archive: Archive) -> Figure:
        """A line per search that meets the conditions of a series: the highest mean score up to each step.

        Raises:
            InputError: no search does.
        """
        from autosegloss.report.figures import best_so_far_figure  # it imports matplotlib

        selection = Selection(archive.searches)
        searches = self._searches(selection)
        if not any(searches.values()):
            notes = "; ".join(selection.notes("searches", archive)) or "no folders were given"
            raise InputError(f"no search fits {self.title}: {notes}. Give folders of experiment=fig3")
        lines = {name: [[step["best mean"] for step in steps] for steps in each] for name, each in searches.items()}
        return best_so_far_figure(lines, self.title)

    def _searches(self, selection: Selection[SearchFolder]) -> dict[str, list[list[StepScores]]]:
        """For each series the scores of its searches, step by step."""
        return {
            name: [
                _step_scores(History(search.path))
                for search in selection.row(partial(self._deviations, {**self.match, **conditions}))
            ]
            for name, conditions in self.series.items()
        }

    def _deviations(self, match: Mapping[str, Any], search: SearchFolder) -> list[str] | None:
        return None if deviations(match, search.config) else deviations(self.where, search.config)


def _step_scores(history: History) -> list[StepScores]:
    """For each step the mean score of its trials, the best mean so far and the best trial so far."""
    means = [step.average for step in history.steps]
    bests = [step.best for step in history.steps]
    return [
        {"mean": mean, "best mean": _highest(means[: index + 1]), "best trial": _highest(bests[: index + 1])}
        for index, mean in enumerate(means)
    ]


def _highest(scores: Sequence[float | None]) -> float | None:
    return max((score for score in scores if score is not None), default=None)


def _columns(name: str, searches: Sequence[Sequence[StepScores]]) -> dict[str, list[Cell]]:
    """{column: a cell per step}; each averages the searches that have reached the step."""
    steps = range(max(map(len, searches), default=0))
    return {
        f"{name}, {kind}": [Cell.of(scores[step][kind] for scores in searches if step < len(scores)) for step in steps]
        for kind in ("mean", "best mean", "best trial")
    }
