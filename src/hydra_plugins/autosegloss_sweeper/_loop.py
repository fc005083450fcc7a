"""The search loop: ask for thetas, train with them, tell their scores, step after step, from the saved state on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from hydra.errors import CompactHydraException
from omegaconf import DictConfig

from autosegloss.cli.overrides import quoted
from autosegloss.errors import InputError
from autosegloss.files import disk_error, last_lines, short_path
from autosegloss.report.progress import SearchProgress
from autosegloss.search import History, Step, Strategy, Trial
from autosegloss.search.records import FAILURES_FILE, STEPS_FILE, TRIALS_FILE
from autosegloss.training.environment import deaf_to_warnings
from autosegloss.training.outcome import WEIGHTS, Failure, Outcome

from ._candidates import searched_candidate
from ._commands import resume_command
from ._ending import Findings, PaperEnding, Recommending, report
from ._interrupt import sigterm_as_interrupt
from ._jobs import Jobs, need
from ._overrides import LONG, SHORT, theta_override
from ._state import State, searched_config
from ._task import Task


class Search:
    """A search for theta. It must be the only one in the folder of its task.

    Args:
        task: What to search.
        resumed: Whether to continue the search in the folder of the task instead of starting one there.

    Raises:
        InputError: The folder holds a search already, or none to resume, or a strategy's setting is out of range.
    """

    def __init__(self, task: Task, resumed: bool = False):
        settings = task.settings
        self.task = task
        self.strategy: Strategy = settings.strategy(
            initial_mean=task.initial_mean(), samples=task.samples, sigma=settings.sigma, seed=settings.seed
        )
        self.history = History(task.directory)
        self.state = self._resumed_state() if resumed else self._first_state()
        self.progress = SearchProgress(task.steps, task.samples)
        self.jobs = Jobs(
            task.launcher,
            task.directory,
            task.arguments,
            self.progress,
            task.metric.name,
            max_retries=settings.max_retries,
            max_batch_size=settings.max_batch_size,
        )

    @property
    def has_begun(self) -> bool:
        """Whether its folder holds a state, from which it goes on."""
        return State.exists(self.task.directory)

    def run(self) -> dict[str, Any]:
        """Do what is left of the search.

        Returns:
            The path of the theta card, the name of the chosen loss, and its score on the hold-out images.

        Raises:
            SystemExit: After an interrupt; the message says how to resume.
            InputError: The disk is full or failed; the message says how to resume.
            CompactHydraException: Too few trials of a step finished.
        """
        task = self.task
        try:
            with deaf_to_warnings(), sigterm_as_interrupt(), self.progress:
                init = self._warm_up()
                for step in range(self.state.step, task.steps):
                    self._step(step, init)
                findings = self._end()
        except (KeyboardInterrupt, SystemExit):
            raise SystemExit(self._interrupted()) from None
        except OSError as error:
            if not disk_error(error):
                raise
            raise InputError(
                f"{short_path(task.directory)} cannot be written ({error.strerror}): what was finished is kept; make "
                f"room, then {resume_command(task.directory)}"
            ) from error
        report(task, findings)
        return {"theta": str(task.card_path), "score": findings.score, "chosen": findings.chosen}

    def _end(self) -> Findings:
        task = self.task
        if not task.settings.finalists:
            return PaperEnding(task, self.jobs, self.progress).run(self.history, self.strategy.result(self.history))
        candidates = [*task.candidates, searched_candidate(self.history.best_samples(1)[0])]
        return Recommending(task, self.jobs, self.progress).run(self.history, candidates)

    def _first_state(self) -> State:
        directory, cfg = self.task.directory, self.task.cfg
        if self.history.trials or State.exists(directory):
            raise InputError(
                f"{directory} holds a search already: continue it with {resume_command(directory)}, "
                "or choose another folder with hydra.sweep.dir=DIR"
            )
        if cfg.data.holdout is None:
            print("note: data.holdout=null scores the trials on the validation split, which the table reports, too")
        return State(_typed_overrides(cfg), searched_config(cfg))

    def _resumed_state(self) -> State:
        state = State.load(self.task.directory)
        state.check_same(searched_config(self.task.cfg), self.task.directory)
        self._check_records(state.step)
        if state.strategy is not None:
            self.strategy.load_state_dict(state.strategy)
        return state

    def _check_records(self, steps: int) -> None:
        """Raise InputError if trials of the first `steps` steps are missing: the result is chosen from them."""
        ended = {step.index: len(step.trials) for step in self.history.steps}
        for step in range(steps):
            if ended.get(step, 0) < self.task.samples:
                raise InputError(
                    f"resume={self.task.directory}: {TRIALS_FILE} or {STEPS_FILE} lacks trials of step {step + 1} "
                    f"({ended.get(step, 0)} of {self.task.samples}): restore the files, or start a new search"
                )

    def _warm_up(self) -> list[str]:
        """Train the initial weights w_0 if the settings want it.

        Returns the overrides that start every trial from them; without a warm-up the seed alone fixes w_0.
        """
        directory, warmup = self.task.directory, self.task.settings.warmup
        self.state.save(directory)
        if warmup is None:
            return []
        self.progress.phase("warm-up", 1)
        need(self.jobs.run({"warmup": [*warmup, "save_weights=true", *LONG]})["warmup"], "the warm-up")
        return [f"init_weights={quoted(directory / 'warmup' / WEIGHTS)}"]

    def _step(self, step: int, init: Sequence[str]) -> None:
        self.progress.start_step(step + 1)
        thetas = self._thetas_of(step)
        mean = self.strategy.mean
        self._train(step, thetas, init)
        closed = self.history.close_step(step, mean)
        self._check_finished(closed)
        scored = closed.scored
        self.strategy.tell(np.array([trial.theta for trial, _ in scored]), np.array([score for _, score in scored]))
        if step + 1 == self.task.steps:
            self._save_state(step + 1, [])

    def _thetas_of(self, step: int) -> list[list[float]]:
        """The thetas of a step (M, D): those of the saved state, or new ones, saved before they are used."""
        if self.state.step == step and self.state.thetas is not None:
            return self.state.thetas
        thetas: list[list[float]] = self.strategy.ask().tolist()
        self._save_state(step, thetas)
        return thetas

    def _save_state(self, step: int, thetas: list[list[float]]) -> None:
        self.state = self.state.at(step, thetas, self.strategy.state_dict())
        self.state.save(self.task.directory)

    def _train(self, step: int, thetas: Sequence[Sequence[float]], init: Sequence[str]) -> None:
        """Train with all thetas of a step, except those whose outcome is already in the history."""
        known = {trial.index for trial in self.history.trials if trial.step == step and trial.status != "failed"}
        for _ in known:
            self.progress.trial_done()
        index_of = {_folder(step, index): index for index in range(len(thetas)) if index not in known}

        def record(folder: str, outcome: Outcome) -> None:
            index = index_of[folder]
            self.history.add(self._trial(step, index, tuple(thetas[index]), outcome))

        jobs = {folder: [*init, theta_override(thetas[index]), *SHORT] for folder, index in index_of.items()}
        self.jobs.run(jobs, record)

    def _trial(self, step: int, index: int, theta: tuple[float, ...], outcome: Outcome) -> Trial:
        if isinstance(outcome, Failure):
            diverged = outcome.kind == "diverged"
            return Trial(step, index, theta, None, status="diverged" if diverged else "failed", message=outcome.message)
        return Trial(step, index, theta, outcome.scores[self.task.metric.name], outcome.scores, outcome.seconds)

    def _check_finished(self, step: Step) -> None:
        """Stop the search if too few trials of a step finished, and print the end of the last one's log."""
        least = self.task.settings.min_finished
        if step.scored and len(step.scored) >= least * len(step.trials):
            return
        last = [trial for trial in step.trials if trial.score is None][-1]
        log = self.jobs.log_of(_folder(last.step, last.index))
        self.progress.close()
        if lines := last_lines(log):
            print(f"The last lines of {short_path(log)}:\n{lines}\n", file=sys.stderr)
        raise CompactHydraException(
            f"only {len(step.scores)} of the {len(step.trials)} trials of step {step.index + 1} finished "
            f"(hydra.sweeper.min_finished={least:g}); the last one that did not: {last.message}. "
            f"All failures are in {short_path(self.task.directory)}/{FAILURES_FILE}; "
            f"{resume_command(self.task.directory)} tries those again that did not diverge"
        )

    def _interrupted(self) -> str:
        finished = sum(trial.score is not None for trial in self.history.trials)
        return f"interrupted: {finished} finished trials are kept; go on with: {resume_command(self.task.directory)}"


def _folder(step: int, index: int) -> str:
    """The folder of a trial, relative to that of the search."""
    return f"step_{step:04d}/trial_{index:03d}"


def _typed_overrides(cfg: DictConfig) -> list[str]:
    """The overrides of a new search as the user typed them."""
    overrides = cfg.hydra.overrides
    return [a for a in (*overrides.hydra, *overrides.task) if not a.startswith(("resume=", "dry_run="))]
