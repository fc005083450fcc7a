"""What follows the steps of a search: choose a loss, compare it with others, write it down, report it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hydra.errors import CompactHydraException
from rich.console import Console

from autosegloss.files import short_path
from autosegloss.ranking import Verdict
from autosegloss.report.progress import SearchProgress
from autosegloss.report.text_table import TextTable
from autosegloss.search import Candidate, Choice, History
from autosegloss.search.records import FAILURES_FILE
from autosegloss.training.outcome import Result, scored_at

from ._card import candidate_card, theta_card
from ._commands import card_overrides, train_command
from ._finals import Finals
from ._jobs import Jobs
from ._overrides import LONG
from ._task import Task

_FILE_WIDTH = 150  # columns of what goes to a file


class Findings(NamedTuple):
    """The results of a finished search.

    chosen: a name, and its score on the images of the choice. tables: of the comparison. lines: to print below them.
    loss: the overrides that train with what was chosen. launched: the number of runs launched now.
    """

    chosen: str
    score: float | None
    tables: Sequence[TextTable]
    lines: Sequence[str]
    loss: Sequence[str]
    launched: int


class PaperEnding:
    """The strategy's own result (section 4.3), and a table of losses at one budget; finished parts are kept."""

    def __init__(self, task: Task, jobs: Jobs, progress: SearchProgress):
        self.task, self.jobs, self.progress = task, jobs, progress

    def run(self, history: History, choice: Choice) -> Findings:
        """Do what is left of all this."""
        from autosegloss.report.summary import write_figures, write_tables  # they import matplotlib

        task, name = self.task, self.task.metric.name
        card = theta_card(task, choice)
        if not task.card_path.exists():
            card.save(task.card_path)
        write_figures(task.directory, history, card)
        rows = self._compare()
        tables = write_tables(task.directory, rows, name)
        at = scored_at(task.cfg.data)
        seeds = len(task.settings.comparison_seeds)
        lines = [
            *unfinished(task, [row for row, results in rows.items() if len(results) < seeds]),
            f"Chosen: {choice.label}, {name} {100 * choice.score:.1f} on the hold-out images, at {at}.",
        ]
        loss = card_overrides(short_path(task.card_path))
        return Findings(choice.label, choice.score, tables, lines, loss, self.jobs.launched)

    def _compare(self) -> Mapping[str, list[Result]]:
        """{row: its finished runs, one per seed} of the comparison."""
        comparison = self.task.comparison
        jobs = {folder: [*overrides, *LONG] for folder, overrides in comparison.jobs().items()}
        if jobs:
            self.progress.phase("comparison", len(jobs))
        return comparison.rows(self.jobs.run(jobs))


class Recommending:
    """The recommendation among all candidates, trained at one budget; finished parts are kept."""

    def __init__(self, task: Task, jobs: Jobs, progress: SearchProgress):
        self.task, self.jobs, self.progress = task, jobs, progress

    def run(self, history: History, candidates: Sequence[Candidate]) -> Findings:
        """Do what is left of all this."""
        from autosegloss.report.recommendation import write_recommendation
        from autosegloss.report.summary import write_figures  # it imports matplotlib

        task = self.task
        finals = Finals(task, self.jobs, self.progress).run(candidates)
        verdict, name = finals.verdict, finals.verdict.recommendation.name
        by_name = {each.name: each for each in candidates}
        shown = _surrogate(verdict, candidates)
        card = candidate_card(task, by_name[shown], verdict.chosen_score(shown))
        scales = {each.name: each.scale for each in candidates}
        later, sooner = task.cfg.trainer.max_steps, task.settings.sooner
        budgets = {later: verdict, **({sooner: finals.sooner} if sooner and finals.sooner else {})}
        tables = write_recommendation(task.directory, budgets, scales, finals.scored_at)
        card.save(task.card_path)
        write_figures(task.directory, history, card)
        lines = [*unfinished(task, finals.incomplete), f"Recommended: {name}; {verdict.reason()}."]
        if finals.sooner:
            lines.append(
                f"After {sooner} of {later} steps: {finals.sooner.recommendation.name}; {finals.sooner.reason()}."
            )
        loss = card_overrides(short_path(task.card_path))
        if name != shown:
            lines.append(f"{short_path(task.card_path)} holds the best surrogate, {shown}.")
            loss = by_name[name].scaled
        return Findings(name, verdict.chosen_score(name), tables, lines, loss, self.jobs.launched)


def _surrogate(verdict: Verdict, candidates: Sequence[Candidate]) -> str:
    """The surrogate whose card is written: the recommended loss if it is one, or else the best that has finished.

    Raises CompactHydraException if there is none.
    """
    contest = verdict.contest
    finished = [verdict.recommendation.name, *contest.ranked(list(contest.field.runs))]
    surrogates = [each.name for each in candidates if each.is_surrogate]
    for name in (*finished, *surrogates):
        if name in surrogates:
            return name
    raise CompactHydraException("no training with a surrogate has finished: there is no theta to write down")


def unfinished(task: Task, names: Sequence[str]) -> list[str]:
    """A line for each row of a table that lacks runs."""
    return [f"Not every run of '{name}' finished: see {short_path(task.directory)}/{FAILURES_FILE}." for name in names]


def report(task: Task, findings: Findings) -> None:
    """Print the comparison, the choice, and the command that trains with it."""
    console, where = Console(), short_path(task.directory)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    if not findings.launched:
        console.print(f"This search is finished: there was nothing left to do in {where}.", highlight=False)
    for table in findings.tables:
        console.print(table)
    for line in (
        *findings.lines,
        f"Found {short_path(task.card_path)}; the figures search.png and curves.png and all records are beside it.",
        "Train with it:",
        "  " + train_command(task.cfg, task.arguments, findings.loss),
    ):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
