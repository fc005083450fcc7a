"""The search loop: ask for thetas, train with them, tell their scores, step after step, from the saved state on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from hydra.errors import CompactHydraException

from autosegloss.cli.overrides import quoted
from autosegloss.errors import InputError
from autosegloss.files import disk_error, last_lines, short_path
from autosegloss.report.progress import SearchProgress
from autosegloss.search import History, Proposal, Step, Trial
from autosegloss.search.optuna_journal import write_journal
from autosegloss.search.race import THETA
from autosegloss.search.records import FAILURES_FILE, STEPS_FILE, TRIALS_FILE
from autosegloss.search.trials import Status
from autosegloss.training.checkpoint_files import discard_checkpoints
from autosegloss.training.environment import deaf_to_warnings
from autosegloss.training.outcome import WEIGHTS, Failure, Outcome

from ._commands import resume_command
from ._ending import Findings, PaperEnding, Recommending, report
from ._interrupt import sigterm_as_interrupt
from ._jobs import Jobs, need
from ._overrides import LONG, trial_folder, trial_overrides
from ._procedure import candidates_of, procedure_of
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
        self.procedure = procedure_of(task)
        self.strategy = self.procedure.strategy
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
                step = self.state.step
                while proposals := self._proposals_of(step):
                    self._step(step, proposals, init)
                    step += 1
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
        if task.cfg.export:
            write_journal(self.history.trials, task.directory, f"{task.metric.name} {task.directory.name}")
        if not task.settings.finalists:
            return PaperEnding(task, self.jobs, self.progress).run(self.history, self.strategy.result(self.history))
        candidates = candidates_of(task, self.procedure, self.history)
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
        return State([*cfg.hydra.overrides.hydra, *self.task.arguments], searched_config(cfg))

    def _resumed_state(self) -> State:
        state = State.load(self.task.directory)
        state.check_same(searched_config(self.task.cfg), self.task.directory)
        self._check_records(state.sizes)
        if state.procedure is not None:
            self.procedure.load_state_dict(state.procedure)
        return state

    def _check_records(self, sizes: Sequence[int]) -> None:
        """Raise InputError if the first steps lack trials of their sizes: the result is chosen from them."""
        ended = {step.index: len(step.trials) for step in self.history.steps}
        for step, size in enumerate(sizes):
            if ended.get(step, 0) < size:
                raise InputError(
                    f"resume={self.task.directory}: {TRIALS_FILE} or {STEPS_FILE} lacks trials of step {step + 1} "
                    f"({ended.get(step, 0)} of {size}): restore the files, or start a new search"
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

    def _step(self, step: int, proposals: Sequence[Proposal], init: Sequence[str]) -> None:
        self._show(step, proposals)
        mean = self.procedure.mean
        self._train(step, proposals, init)
        closed = self.history.close_step(step, mean)
        self._check_finished(closed)
        self.procedure.tell(closed, proposals)

    def _discard_states(self, ended: Sequence[Step]) -> None:
        """Remove the saved states that no trial goes on from after the `ended` steps, none of which is done again."""
        needed = self.procedure.needed(ended)
        for trial in (trial for other in ended for trial in other.trials if trial.pause_at is not None):
            if (trial.step, trial.index) not in needed:
                discard_checkpoints(self.task.directory / trial_folder(trial.step, trial.index))

    def _show(self, step: int, proposals: Sequence[Proposal]) -> None:
        """Tell the progress what is trained next."""
        if (phase := proposals[0].phase) == THETA:
            self.progress.start_step(1 + sum(ended.phase == THETA for ended in self.history.steps[:step]))
        else:
            self.progress.phase(phase, len(proposals))

    def _proposals_of(self, step: int) -> list[Proposal]:
        """The trials of a step: those of the saved state, or new ones, saved before they are trained."""
        ended = self.history.steps[:step]
        if self.state.step != step or self.state.proposals is None:
            proposals = self.procedure.ask(ended)
            self.state = self.state.at(step, proposals, self.procedure.state_dict())
            self.state.save(self.task.directory)
        self._discard_states(ended)
        return self.state.proposals or []

    def _train(self, step: int, proposals: Sequence[Proposal], init: Sequence[str]) -> None:
        """Do the trials of a step, except those whose outcome is already in the history."""
        known = {trial.index for trial in self.history.trials if trial.step == step and trial.status != "failed"}
        for _ in known:
            self.progress.trial_done()
        left = {trial_folder(step, index): index for index in range(len(proposals)) if index not in known}

        def record(folder: str, outcome: Outcome) -> None:
            self.history.add(self._trial(step, left[folder], proposals[left[folder]], outcome))

        common = [*init, *self.task.settings.trial]
        own = [trial_overrides(proposal, self.task.directory) for proposal in proposals]
        self.jobs.run({folder: [*common, *own[index]] for folder, index in left.items()}, record)

    def _trial(self, step: int, index: int, proposal: Proposal, outcome: Outcome) -> Trial:
        own = {name: getattr(proposal, name) for name in ("theta", "name", "scale", "phase", "pause_at", "origin")}
        if isinstance(outcome, Failure):
            status: Status = "diverged" if outcome.kind == "diverged" else "failed"
            return Trial(step, index, score=None, status=status, message=outcome.message, **own)
        score = outcome.scores[self.task.metric.name]
        return Trial(step, index, score=score, scores=outcome.scores, seconds=outcome.seconds, **own)

    def _check_finished(self, step: Step) -> None:
        """Stop the search if too few trials of a step finished, and print the end of the last one's log."""
        least = self.task.settings.min_finished
        if step.scored and len(step.scored) >= least * len(step.trials):
            return
        last = [trial for trial in step.trials if trial.score is None][-1]
        log = self.jobs.log_of(trial_folder(last.step, last.index))
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
