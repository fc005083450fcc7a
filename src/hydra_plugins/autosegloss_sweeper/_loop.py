"""The search itself: ask, train, tell, step after step, from wherever it was left."""

from __future__ import annotations

import errno
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from autosegloss import theta as thetas
from autosegloss.errors import InputError
from autosegloss.files import last_lines
from autosegloss.report.progress import SearchProgress
from autosegloss.search import History, Step, Strategy, Trial
from autosegloss.training.outcome import Failure, Outcome

from ._ending import Ending
from ._jobs import Jobs, need
from ._names import UNTIMED, quoted, resume_command, short, theta_override
from ._state import State, searched_config
from .config import SweeperConf

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


class Search:
    """A search for the theta of the metric in `cfg`, its records kept in `directory`, which nobody else may use."""

    def __init__(
        self,
        settings: SweeperConf,
        launcher: Launcher,
        cfg: DictConfig,
        arguments: Sequence[str],
        directory: Path,
        resumed: bool = False,
    ):
        self.settings, self.cfg, self.directory = settings, cfg, directory
        self.metric, self.curve = instantiate(cfg.metric), instantiate(cfg.curve)
        self._check()
        self.strategy: Strategy = settings.strategy(
            initial_mean=thetas.identity(self.metric, self.curve).tolist(),
            samples=settings.samples,
            sigma=settings.sigma,
            seed=settings.seed,
        )
        self.history = History(directory)
        self.state = self._resumed_state() if resumed else self._first_state()
        self.progress = SearchProgress(settings.steps, settings.samples)
        limits = {"max_retries": settings.max_retries, "max_batch_size": settings.max_batch_size}
        self.jobs = Jobs(launcher, directory, arguments, self.progress, self.metric.name, **limits)
        self.ending = Ending(self)

    def run(self) -> dict[str, Any]:
        """All of it; an interrupt leaves the records of what was finished and says how to go on."""
        try:
            with terminated_as_interrupted(), self.progress:
                start = self._warm_up()
                for step in range(self.state.step, self.settings.steps):
                    self._step(step, start)
                done = self.ending.run(start)
        except (KeyboardInterrupt, SystemExit):
            raise SystemExit(self._interrupted()) from None
        except OSError as error:
            if error.errno not in _DISK:
                raise
            raise InputError(
                f"{short(self.directory)} cannot be written ({error.strerror}): what was finished is kept; make room, "
                f"then {resume_command(self.directory)}"
            ) from error
        self.ending.tell_user(done)
        return {"theta": str(self.directory / "theta.yaml"), "score": done.choice.score, "chosen": done.choice.label}

    def jobs_around(self) -> dict[str, list[str]]:
        """{folder: overrides} of every run that is not a trial, with any theta where one is needed."""
        finalist = [*self.settings.final, theta_override(self.strategy.mean)]
        warmup = {"warmup": self.settings.warmup} if self.settings.warmup is not None else {}
        return {**warmup, "finalists": finalist, **self.ending.comparison.jobs()}

    def _check(self) -> None:
        if not thetas.size(self.metric, self.curve):
            raise InputError(
                f"curve '{self.curve.name}' has no parameters to search: choose another, e.g. curve=bezier"
            )
        if not _depends_on_theta(self.cfg):
            raise InputError("the loss does not depend on theta: a search trains with loss=surrogate")
        for name, least in {"steps": 1, "samples": 1, "finalists": 0, "max_retries": 0}.items():
            value = getattr(self.settings, name)
            if value is None or value < least:
                raise InputError(f"hydra.sweeper.{name} must be {least} or more, got {value}")
        for name in ("trial_timeout", "max_batch_size"):
            value = getattr(self.settings, name)
            if value is not None and value <= 0:
                raise InputError(f"hydra.sweeper.{name} must be above 0, or null, got {value}")
        if not 0 < self.settings.min_finished <= 1:
            raise InputError(
                f"hydra.sweeper.min_finished must be above 0 and at most 1, got {self.settings.min_finished}"
            )

    def _first_state(self) -> State:
        if self.history.trials or State.exists(self.directory):
            raise InputError(
                f"{self.directory} holds a search already: continue it with {resume_command(self.directory)}, "
                "or choose another folder with hydra.sweep.dir=DIR"
            )
        if self.cfg.data.holdout is None:
            print("note: data.holdout=null scores the trials on the validation split, which the table reports, too")
        return State(_overrides(self.cfg), searched_config(self.cfg))

    def _resumed_state(self) -> State:
        state = State.load(self.directory)
        state.check_same(searched_config(self.cfg), self.directory)
        self._check_records(state.step)
        if state.strategy is not None:
            self.strategy.load_state_dict(state.strategy)
        return state

    def _check_records(self, steps: int) -> None:
        """What was finished must be there: the result of the search is chosen from it."""
        ended = {step.index: len(step.trials) for step in self.history.steps}
        for step in range(steps):
            if ended.get(step, 0) < self.settings.samples:
                raise InputError(
                    f"resume={self.directory}: trials.jsonl or steps.jsonl lacks trials of step {step + 1} "
                    f"({ended.get(step, 0)} of {self.settings.samples}): restore the files, or start a new search"
                )

    def _warm_up(self) -> list[str]:
        """The overrides that start every trial from the same weights w_0 (drawn by the seed where none are trained)."""
        self.state.save(self.directory)
        if self.settings.warmup is None:
            return []
        self.progress.phase("warm-up", 1)
        warmup = [*self.settings.warmup, "save_weights=true", UNTIMED]
        need(self.jobs.run({"warmup": warmup})["warmup"], "the warm-up")
        return [f"init_weights={quoted(self.directory / 'warmup' / 'weights.pt')}"]

    def _step(self, step: int, start: list[str]) -> None:
        self.progress.start_step(step + 1)
        if self.state.step != step or self.state.thetas is None:
            drawn = self.strategy.ask().tolist()
            self._keep(step, drawn)
        mean = self.strategy.mean
        self._train(step, self.state.thetas, start)
        closed = self.history.close_step(step, mean)
        self._check_finished(closed)
        scored = closed.scored
        self.strategy.tell(np.array([trial.theta for trial, _ in scored]), np.array([score for _, score in scored]))
        if step + 1 == self.settings.steps:
            self._keep(step + 1, [])

    def _keep(self, step: int, drawn: Sequence[Sequence[float]]) -> None:
        self.state = self.state.at(step, drawn, self.strategy.state_dict())
        self.state.save(self.directory)

    def _train(self, step: int, drawn: Sequence[Sequence[float]], start: list[str]) -> None:
        """Train with all thetas of a step, but for those whose outcome stands in the records already."""
        known = {trial.index for trial in self.history.trials if trial.step == step and trial.status != "failed"}
        for _ in known:
            self.progress.trial_done()
        index_of = {f"step_{step:04d}/trial_{index:03d}": index for index in range(len(drawn)) if index not in known}

        def record(folder: str, outcome: Outcome) -> None:
            index = index_of[folder]
            self.history.add(self._trial(step, index, drawn[index], outcome))

        self.jobs.run({f: [*start, theta_override(drawn[index])] for f, index in index_of.items()}, record)

    def _trial(self, step: int, index: int, theta: Sequence[float], outcome: Outcome) -> Trial:
        if isinstance(outcome, Failure):
            status = "diverged" if outcome.kind == "diverged" else "failed"
            return Trial(step, index, theta, None, status=status, message=outcome.message)
        return Trial(step, index, theta, outcome.scores[self.metric.name], outcome.scores, outcome.seconds)

    def _check_finished(self, step: Step) -> None:
        """Stop a search whose trials mostly fail, and show what one of them said last."""
        if step.scored and len(step.scored) >= self.settings.min_finished * len(step.trials):
            return
        last = [trial for trial in step.trials if trial.score is None][-1]
        log = self.jobs.log_of(f"step_{last.step:04d}/trial_{last.index:03d}")
        self.progress.close()
        if lines := last_lines(log):
            print(f"The last lines of {short(log)}:\n{lines}\n", file=sys.stderr)
        raise CompactHydraException(
            f"only {len(step.scores)} of the {len(step.trials)} trials of step {step.index + 1} finished "
            f"(hydra.sweeper.min_finished={self.settings.min_finished:g}); the last one that did not: {last.message}. "
            f"All failures are in {short(self.directory)}/failures.jsonl; "
            f"{resume_command(self.directory)} tries those again that did not diverge"
        )

    def _interrupted(self) -> str:
        finished = sum(trial.score is not None for trial in self.history.trials)
        return f"interrupted: {finished} finished trials are kept; go on with: {resume_command(self.directory)}"


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Here SIGTERM, as a cluster sends it, ends the search as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _overrides(cfg: DictConfig) -> list[str]:
    """What a search is started with, as it was typed."""
    own = cfg.hydra.overrides
    return [a for a in (*own.hydra, *own.task) if not a.startswith(("resume=", "dry_run="))]


def _depends_on_theta(cfg: DictConfig) -> bool:
    losses = []
    for theta in ([0.0], [1.0]):
        other = cfg.copy()
        other.theta = theta
        losses.append(OmegaConf.to_container(other.loss, resolve=True))
    return losses[0] != losses[1]
