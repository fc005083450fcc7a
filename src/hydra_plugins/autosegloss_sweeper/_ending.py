"""What comes after the steps: choose a theta, compare its loss with others, write it all down and tell the user."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from hydra.errors import CompactHydraException
from rich.console import Console

from autosegloss import ThetaCard
from autosegloss import theta as thetas
from autosegloss.files import write_whole
from autosegloss.training.outcome import Result

from ._comparison import Comparison
from ._names import UNTIMED, short, theta_override
from ._provenance import next_command, provenance

if TYPE_CHECKING:
    from ._loop import Search


class Choice(NamedTuple):
    """The theta that a search ends with, why, and its score on the hold-out images."""

    label: str
    theta: tuple[float, ...]
    score: float


class Done(NamedTuple):
    """What a finished search has: its choice, the rows of its table, and the runs that it took this time."""

    choice: Choice
    rows: Mapping[str, list[Result]]
    launched: int


class Ending:
    """The end of a search."""

    def __init__(self, search: Search):
        self.search, self.settings = search, search.settings
        self.directory, self.metric, self.jobs = search.directory, search.metric, search.jobs
        self.comparison = Comparison(self.settings, self.directory / "theta.yaml", self.metric.name)

    def run(self, start: list[str]) -> Done:
        """Everything, `start` being the overrides that every trial begins with; what is there already is kept."""
        from autosegloss.report.summary import write_figures  # imports matplotlib

        choice = self._choose(start)
        card = self._card(choice)
        if not (self.directory / "theta.yaml").exists():
            card.save(self.directory / "theta.yaml")
        write_figures(self.directory, self.search.history, card)
        return Done(choice, self._compare(), self.jobs.launched)

    def _choose(self, start: list[str]) -> Choice:
        """What the strategy's own rule names (section 4.3), or the best finalist."""
        history, strategy = self.search.history, self.search.strategy
        if not self.settings.finalists:
            return Choice(*strategy.result(history))
        candidates = history.candidates(self.settings.finalists, strategy.mean)
        if (identity := history.steps[0].mean) not in candidates.values():
            candidates["identity"] = identity  # where the search began: what is found shall not be worse
        self.search.progress.phase("finalists", len(candidates))
        runs = {f"finalists/{label.replace(' ', '_')}": (label, theta) for label, theta in candidates.items()}
        final = [*start, *self.settings.final, UNTIMED]
        outcomes = self.jobs.run({folder: [*final, theta_override(theta)] for folder, (_, theta) in runs.items()})
        choices = [
            Choice(*runs[folder], outcome.scores[self.metric.name])
            for folder, outcome in outcomes.items()
            if isinstance(outcome, Result)
        ]
        if not choices:
            raise CompactHydraException(f"all finalists failed; see {short(self.directory)}/failures.jsonl")
        page = json.dumps([choice._asdict() for choice in choices], indent=1)
        write_whole(self.directory / "finalists.json", page)
        return max(choices, key=lambda choice: choice.score)

    def _card(self, choice: Choice) -> ThetaCard:
        cfg, curve = self.search.cfg, self.search.curve
        theta = thetas.split(list(choice.theta), self.metric, curve)
        origin = provenance(cfg, self.settings, choice.label)
        return ThetaCard(self.metric, curve, theta, cfg.classes, choice.score, origin)

    def _compare(self) -> Mapping[str, list[Result]]:
        """The finished runs of every row of the comparison, one a seed."""
        jobs = {folder: [*overrides, UNTIMED] for folder, overrides in self.comparison.jobs().items()}
        if jobs:
            self.search.progress.phase("comparison", len(jobs))
        return self.comparison.rows(self.jobs.run(jobs))

    def tell_user(self, done: Done) -> None:
        """The table, what was chosen, and how to train with it."""
        from autosegloss.report.summary import write_tables

        console, where, name = Console(), short(self.directory), self.metric.name
        if not done.launched:
            console.print(f"This search is finished: there was nothing left to do in {where}.", highlight=False)
        for table in write_tables(self.directory, done.rows, name):
            console.print(table)
        missing = [row for row, results in done.rows.items() if len(results) < len(self.settings.comparison_seeds)]
        for line in (
            *(f"Not every run of '{row}' finished: see {where}/failures.jsonl." for row in missing),
            f"Chosen: {done.choice.label}, {name} {100 * done.choice.score:.1f} on the hold-out images.",
            f"Found {where}/theta.yaml; the figures search.png and curves.png and all records are beside it.",
            "Train with it:",
            "  " + next_command(self.search.cfg, self.jobs.arguments, where / "theta.yaml"),
        ):
            console.print(line, soft_wrap=True, highlight=False, markup=False)
