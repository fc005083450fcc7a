"""What is left to do of a search and how long it would take, from one short trial; nothing else is trained."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from autosegloss import ThetaCard
from autosegloss import theta as thetas
from autosegloss.errors import InputError
from autosegloss.files import last_lines
from autosegloss.report.progress import duration
from autosegloss.runtime import Devices, Ownership
from autosegloss.training import run as training
from autosegloss.training.failures import describe_mistake
from autosegloss.training.outcome import RESULT, Failure, Result

from ._jobs import Jobs, need
from ._loop import Search, terminated_as_interrupted
from ._names import UNTIMED, short, theta_override

STEPS = 10  # of the short trial
_OTHER = "Not in it: runs with other images or another network than the trials; a short trial does not tell their time."
_KIN = ("network", "data.size", "data.crop", "data.batch_size", "trainer.devices")  # what the time of a step rests on


class Phase(NamedTuple):
    """A part of a search: so many runs of so many steps each, whose time a trial tells if they are `like_trials`."""

    name: str
    runs: int
    steps: int
    like_trials: bool = True


def dry_run(search: Search, around: Mapping[str, DictConfig]) -> dict[str, Any]:
    """Check all runs, print what is left of them and how long it takes; `around` has those that are no trials.

    All it writes is in a folder of its own, which goes again.
    """
    scratch = search.directory / "dry_run"
    shutil.rmtree(scratch, ignore_errors=True)  # of one that was killed
    scratch.mkdir()
    logging.disable()  # hydra.log tells of the search itself
    try:
        with terminated_as_interrupted(), Ownership(scratch), search.progress:
            phases = list(_left(search, around))
            if phases:
                _check(search, around, scratch)
            steps = min(STEPS, search.cfg.trainer.max_steps)
            timed = _short_trial(search, scratch, steps) if phases else None
    finally:
        logging.disable(logging.NOTSET)
        shutil.rmtree(scratch, ignore_errors=True)
    seconds = [_seconds(timed, steps, phase) * phase.runs if phase.like_trials else None for phase in phases]
    _tell(short(search.directory), phases, seconds)
    return {"seconds": sum(filter(None, seconds))}


def _check(search: Search, around: Mapping[str, DictConfig], scratch: Path) -> None:
    """Make all that the runs are made of; InputError names the run where that cannot be."""
    found, card = search.directory / "theta.yaml", scratch / "theta.yaml"
    theta = thetas.split(search.strategy.mean.tolist(), search.metric, search.curve)
    ThetaCard(search.metric, search.curve, theta, search.cfg.classes).save(card)
    for name, cfg in {"trials": search.cfg, **around}.items():
        if OmegaConf.select(cfg, "loss.theta") == str(found):
            cfg.loss.theta = str(card)  # the other is not there yet
        try:
            training.check_numbers(cfg)
            data = instantiate(cfg.data)
            data.check(Devices.of(cfg.trainer).count)
            training.make_module(cfg, data)
        except Exception as error:
            if mistake := describe_mistake(error):
                raise InputError(f"{name}: {mistake}") from error
            raise


def _left(search: Search, around: Mapping[str, DictConfig]) -> Iterator[Phase]:
    """The parts that are still to do."""
    settings, directory = search.settings, search.directory
    left = {name: cfg.trainer.max_steps for name, cfg in around.items() if not (directory / name / RESULT).exists()}
    if "warmup" in left:
        yield Phase("warm-up", 1, left["warmup"])
    first = search.state.step
    known = sum(trial.step >= first and trial.status != "failed" for trial in search.history.trials)
    if trials := (settings.steps - first) * settings.samples - known:
        yield Phase("trials", trials, search.cfg.trainer.max_steps)
    if settings.finalists and not (directory / "theta.yaml").exists():
        known = len(list(directory.glob(f"finalists/*/{RESULT}")))
        # at most: both mu and the identity, too
        yield Phase("finalists", max(1, settings.finalists + 3 - known), left["finalists"])
    compared = [(steps, _alike(search.cfg, around[n])) for n, steps in left.items() if n.startswith("comparison/")]
    for steps, alike in dict.fromkeys(compared):
        yield Phase("comparison", compared.count((steps, alike)), steps, alike)


def _alike(trial: DictConfig, other: DictConfig) -> bool:
    return all(OmegaConf.select(trial, key) == OmegaConf.select(other, key) for key in _KIN)


def _short_trial(search: Search, scratch: Path, steps: int) -> Result:
    """Train for so many steps, in a process that has its imports done and the data decoded, as most trials find it."""
    jobs = Jobs(search.jobs.launcher, scratch, search.jobs.arguments, search.progress, search.metric.name)
    overrides = [f"trainer.max_steps={steps}", theta_override(search.strategy.mean), UNTIMED]
    search.progress.phase("short trial", 2)
    for folder in ("first", "timed"):
        outcome = jobs.run({folder: overrides})[folder]
        if isinstance(outcome, Failure) and (lines := last_lines(jobs.log_of(folder))):
            print(f"The last lines of the log of the short trial:\n{lines}\n", file=sys.stderr)
        result = need(outcome, "the short trial")
    return result


def _seconds(timed: Result, steps: int, phase: Phase) -> float:
    """Of one run: what does not depend on its length, and its steps."""
    return timed.seconds - timed.fit_seconds + timed.fit_seconds / steps * phase.steps


def _tell(where: Path, phases: Sequence[Phase], seconds: Sequence[float | None]) -> None:
    console = Console()
    if not phases:
        lines = [f"This search is finished: there is nothing left to do in {where}."]
    else:
        console.print(_table(phases, seconds))
        known = duration(sum(filter(None, seconds)))
        lines = [
            f"About {known} in all if one run follows the other; n side by side need less.",
            *([_OTHER] if None in seconds else []),
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
        row = (str(phase.runs), str(phase.steps), *times)
        table.add_row(phase.name, *row)
    return table
