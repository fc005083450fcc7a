"""What follows the steps of a search: choose a theta, compare its loss with others, write it down, report it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hydra.errors import CompactHydraException
from rich.console import Console

from autosegloss.files import short_path, write_whole
from autosegloss.report.progress import SearchProgress
from autosegloss.report.text_table import TextTable
from autosegloss.search import Choice, History, Strategy
from autosegloss.search.records import FAILURES_FILE, FINALISTS_FILE
from autosegloss.training.outcome import Result, scored_at

from ._card import theta_card
from ._commands import train_command
from ._jobs import Jobs
from ._overrides import LONG, theta_override
from ._task import Task


class Ending:
    """The finalists, the theta card, the figures and the comparison of a search; finished parts are kept."""

    def __init__(self, task: Task, jobs: Jobs, progress: SearchProgress):
        self.task, self.jobs, self.progress = task, jobs, progress

    def run(self, history: History, strategy: Strategy, init: Sequence[str]) -> Findings:
        """Do what is left of all this; `init` are the overrides that set the initial weights w_0."""
        from autosegloss.report.summary import write_figures, write_tables  # they import matplotlib

        choice = self._choose(history, strategy, init)
        card = theta_card(self.task, choice)
        if not self.task.card_path.exists():
            card.save(self.task.card_path)
        write_figures(self.task.directory, history, card)
        rows = self._compare()
        tables = write_tables(self.task.directory, rows, self.task.metric.name)
        return Findings(choice, rows, tables, self.jobs.launched)

    def _choose(self, history: History, strategy: Strategy, init: Sequence[str]) -> Choice:
        """The strategy's own result (section 4.3), or the best finalist if the settings want finalists."""
        settings = self.task.settings
        if not settings.finalists:
            return strategy.result(history)
        candidates = history.candidates(settings.finalists, strategy.mean)
        if (identity := history.steps[0].mean) not in candidates.values():
            candidates["identity"] = identity  # so that the chosen theta is at least as good as mu_0
        choices = self._run_finalists(candidates, [*init, *settings.final, *LONG])
        page = json.dumps([choice._asdict() for choice in choices], indent=1)
        write_whole(self.task.directory / FINALISTS_FILE, page)
        return max(choices, key=lambda choice: choice.score)

    def _run_finalists(self, candidates: Mapping[str, Sequence[float]], overrides: Sequence[str]) -> list[Choice]:
        """Train with each candidate; the finished runs as choices."""
        self.progress.phase("finalists", len(candidates))
        runs = {f"finalists/{label.replace(' ', '_')}": (label, theta) for label, theta in candidates.items()}
        outcomes = self.jobs.run({folder: [*overrides, theta_override(theta)] for folder, (_, theta) in runs.items()})
        choices = [
            Choice(runs[folder][0], tuple(runs[folder][1]), outcome.scores[self.task.metric.name])
            for folder, outcome in outcomes.items()
            if isinstance(outcome, Result)
        ]
        if not choices:
            where = short_path(self.task.directory)
            raise CompactHydraException(f"all finalists failed; see {where}/{FAILURES_FILE}")
        return choices

    def _compare(self) -> Mapping[str, list[Result]]:
        """{row: its finished runs, one per seed} of the comparison."""
        comparison = self.task.comparison
        jobs = {folder: [*overrides, *LONG] for folder, overrides in comparison.jobs().items()}
        if jobs:
            self.progress.phase("comparison", len(jobs))
        return comparison.rows(self.jobs.run(jobs))


class Findings(NamedTuple):
    """The results of a finished search: its choice, the rows and tables of its comparison, the runs launched now."""

    choice: Choice
    rows: Mapping[str, list[Result]]
    tables: Sequence[TextTable]
    launched: int


def report(task: Task, findings: Findings) -> None:
    """Print the comparison, the choice, and the command that trains with it."""
    console, where, name = Console(), short_path(task.directory), task.metric.name
    card, at = short_path(task.card_path), scored_at(task.cfg.data)
    if not findings.launched:
        console.print(f"This search is finished: there was nothing left to do in {where}.", highlight=False)
    for table in findings.tables:
        console.print(table)
    seeds = len(task.settings.comparison_seeds)
    missing = [row for row, results in findings.rows.items() if len(results) < seeds]
    for line in (
        *(f"Not every run of '{row}' finished: see {where}/{FAILURES_FILE}." for row in missing),
        f"Chosen: {findings.choice.label}, {name} {100 * findings.choice.score:.1f} on the hold-out images, at {at}.",
        f"Found {card}; the figures search.png and curves.png and all records are beside it.",
        "Train with it:",
        "  " + train_command(task.cfg, task.arguments, card),
    ):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
