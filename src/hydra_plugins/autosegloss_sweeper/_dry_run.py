"""The dry run of a search: check all runs that are left, and estimate their time from one short trial."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from autosegloss.files import last_lines, short_path
from autosegloss.report.progress import duration
from autosegloss.runtime import Ownership
from autosegloss.training.outcome import RESULT, Failure, Result

from ._check import check
from ._interrupt import sigterm_as_interrupt
from ._jobs import Jobs, need
from ._loop import Search
from ._overrides import SHORT, UNTIMED

STEPS = 10  # of the short trial
_UNKNOWN = (
    "Not in it: runs with other images or another network than the trials; a short trial does not tell their time."
)
_FINALS = f"comparison/*/*/{RESULT}"
# The values that the duration of a training step depends on.
_COST_KEYS = ("network", "data.size", "data.crop", "data.batch_size", "trainer.devices")


class Phase(NamedTuple):
    """`runs` runs of `steps` training steps each; `like_trials`: a step costs as much as in a trial."""

    name: str
    runs: int
    steps: int
    like_trials: bool = True


def dry_run(search: Search, around: Mapping[str, DictConfig]) -> dict[str, Any]:
    """Check all runs, then print the phases that are left and the time they take; nothing is kept on disk.

    Args:
        search: The search, new or resumed.
        around: {folder: configuration} of the runs that are not trials.

    Returns:
        The estimate in seconds, without the phases whose time a trial does not tell.

    Raises:
        InputError: A run cannot be made; the message names it.
    """
    scratch = search.task.directory / "dry_run"
    shutil.rmtree(scratch, ignore_errors=True)  # left by a dry run that was killed
    scratch.mkdir()
    logging.disable()  # hydra.log is the log of the search itself
    try:
        with sigterm_as_interrupt(), Ownership(scratch), search.progress:
            phases = list(_phases_left(search, around))
            seconds: list[float | None] = []
            if phases:
                check(search.task, around).tell()
                steps = min(STEPS, search.task.cfg.trainer.max_steps)
                timed = _short_trial(search, scratch, steps)
                seconds = [_seconds(timed, steps, phase) if phase.like_trials else None for phase in phases]
    finally:
        logging.disable(logging.NOTSET)
        shutil.rmtree(scratch, ignore_errors=True)
    _print_estimate(short_path(search.task.directory), phases, seconds, getattr(search.task.launcher, "count", 1))
    return {"seconds": sum(filter(None, seconds))}


def _phases_left(search: Search, around: Mapping[str, DictConfig]) -> Iterator[Phase]:
    task, directory = search.task, search.task.directory
    left = {name: cfg.trainer.max_steps for name, cfg in around.items() if not (directory / name / RESULT).exists()}
    if "warmup" in left:
        yield Phase("warm-up", 1, left["warmup"])
    first = search.state.step
    known = sum(trial.step >= first and trial.status != "failed" for trial in search.history.trials)
    for name, trials, steps in search.procedure.outlook(search.history.steps[:first]):
        if (left_over := trials - known) > 0:
            yield Phase(name, left_over, min(steps or task.cfg.trainer.max_steps, task.cfg.trainer.max_steps))
        known = max(0, known - trials)
    compared = [(n, _costs_alike(task.cfg, around[name])) for name, n in left.items() if name.startswith("comparison/")]
    for steps, alike in dict.fromkeys(compared):
        yield Phase("comparison", compared.count((steps, alike)), steps, alike)
    if task.settings.finalists and not task.card_path.exists():
        others = sum(str(path.parent.relative_to(directory)) not in around for path in directory.glob(_FINALS))
        runs = (task.settings.finalists + 1) * (task.settings.final_seeds - 1) - others
        final = next(cfg for name, cfg in around.items() if name.startswith("comparison/"))
        alike = _costs_alike(task.cfg, final)
        yield Phase("finalists", max(1, runs), final.trainer.max_steps, alike)
        if steps := task.settings.sooner:
            done = len(list(directory.glob(f"sooner_{steps}/*/*/{RESULT}")))
            every = (task.settings.finalists + 1) * task.settings.final_seeds
            yield Phase(f"after {steps} steps", max(1, every - done), steps, alike)


def _costs_alike(trial: DictConfig, other: DictConfig) -> bool:
    return all(OmegaConf.select(trial, key) == OmegaConf.select(other, key) for key in _COST_KEYS)


def _short_trial(search: Search, scratch: Path, steps: int) -> Result:
    """Time a trial of `steps` steps; one before it does the imports and decodes the data, as for most trials."""
    task = search.task
    jobs = Jobs(task.launcher, scratch, task.arguments, search.progress, task.metric.name)
    proposal = search.procedure.proposal(tuple(search.strategy.mean.tolist()))
    overrides = [f"trainer.max_steps={steps}", *proposal.overrides, UNTIMED, *SHORT]
    search.progress.phase("short trial", 2)
    for folder in ("first", "timed"):
        outcome = jobs.run({folder: overrides})[folder]
        if isinstance(outcome, Failure) and (lines := last_lines(jobs.log_of(folder))):
            print(f"The last lines of the log of the short trial:\n{lines}\n", file=sys.stderr)
        result = need(outcome, "the short trial")
    return result


def _seconds(timed: Result, steps: int, phase: Phase) -> float:
    """Time of a phase: per run the constant part of the timed trial and its time per step."""
    constant = timed.seconds - timed.fit_seconds
    return phase.runs * (constant + timed.fit_seconds / steps * phase.steps)


def _print_estimate(where: Path, phases: Sequence[Phase], seconds: Sequence[float | None], workers: int) -> None:
    console = Console()
    if not phases:
        lines = [f"This search is finished: there is nothing left to do in {where}."]
    else:
        console.print(_table(phases, seconds))
        known = sum(filter(None, seconds))
        lines = [
            f"About {duration(known)} in all if one run follows the other"
            + (f"; {workers} side by side need about {duration(known / workers)}." if workers > 1 else "."),
            *([_UNKNOWN] if None in seconds else []),
            f"All runs can be made. Nothing was kept; without dry_run=true the search goes to {where}.",
        ]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _table(phases: Sequence[Phase], seconds: Sequence[float | None]) -> Table:
    table = Table("part")
    for header in ("runs", "steps each", "time each", "in all"):
        table.add_column(header, justify="right")
    for phase, total in zip(phases, seconds, strict=True):
        times = ("?", "?") if total is None else (f"{total / phase.runs:.1f} s", duration(total))
        table.add_row(phase.name, str(phase.runs), str(phase.steps), *times)
    return table
