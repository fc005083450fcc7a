"""What a search would do and how long it would take, from one short trial; nothing else is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from autosegloss.report.progress import duration
from autosegloss.result import Result

from ._jobs import need
from ._loop import Search
from ._names import UNTIMED, short, theta_override

STEPS = 10  # of the short trial

Compose = Callable[[Sequence[str]], DictConfig]


class Phase(NamedTuple):
    """A part of a search: so many runs of so many steps each."""

    name: str
    runs: int
    steps: int


def dry_run(search: Search, compose: Compose) -> dict[str, Any]:
    """Print the parts of the search and how long they take; `compose` gives the config of a run by its overrides."""
    steps = min(STEPS, search.cfg.trainer.max_steps)
    overrides = [f"trainer.max_steps={steps}", theta_override(search.strategy.mean), UNTIMED]
    with search.progress:
        search.progress.phase("short trial", 2)
        need(search.jobs.run({"dry_run/first": overrides})["dry_run/first"], "the short trial")
        # the second one finds the data decoded and the process started, as all but the first of a search do
        timed = need(search.jobs.run({"dry_run/timed": overrides})["dry_run/timed"], "the short trial")
    phases = list(_phases(search, compose))
    seconds = [_seconds(timed, steps, phase) * phase.runs for phase in phases]
    console = Console()
    console.print(_table(phases, seconds))
    for line in (
        f"About {duration(sum(seconds))} in all if one run follows the other; n side by side need less.",
        f"Everything composes. Nothing was kept; without dry_run=true it goes to {short(search.directory)}.",
    ):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    return {"seconds": sum(seconds)}


def _phases(search: Search, compose: Compose) -> Iterator[Phase]:
    settings = search.settings
    around = {name: compose(overrides).trainer.max_steps for name, overrides in search.jobs_around().items()}
    if settings.warmup is not None:
        yield Phase("warm-up", 1, around.pop("warmup"))
    yield Phase("trials", settings.steps * settings.samples, search.cfg.trainer.max_steps)
    finalist = around.pop("finalists")
    if settings.finalists:
        yield Phase("finalists", settings.finalists + 3, finalist)  # at most: both mu and the identity, too
    for steps in dict.fromkeys(around.values()):
        yield Phase("comparison", list(around.values()).count(steps), steps)


def _seconds(timed: Result, steps: int, phase: Phase) -> float:
    """Of one run: what does not depend on its length, and its steps."""
    return timed.seconds - timed.fit_seconds + timed.fit_seconds / steps * phase.steps


def _table(phases: Sequence[Phase], seconds: Sequence[float]) -> Table:
    table = Table("part")
    for header in ("runs", "steps each", "time each", "in all"):
        table.add_column(header, justify="right")
    for phase, total in zip(phases, seconds, strict=True):
        row = (str(phase.runs), str(phase.steps), f"{total / phase.runs:.1f} s", duration(total))
        table.add_row(phase.name, *row)
    return table
