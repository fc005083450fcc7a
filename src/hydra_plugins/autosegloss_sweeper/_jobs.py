"""Trainings through Hydra's launcher: what to run goes in as overrides, what came out is read from disk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher

from autosegloss.errors import DivergedError
from autosegloss.report import SearchProgress
from autosegloss.training import RESULT, Result

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """Why a run has no result."""

    status: Literal["failed", "diverged"]
    message: str


Outcome = Result | Failure
Record = Callable[[str, Outcome], None]


class Jobs:
    """Runs batches of trainings, each in a folder of its own below `directory`."""

    def __init__(
        self,
        launcher: Launcher,
        directory: Path,
        arguments: Sequence[str],
        progress: SearchProgress,
        target: str,
    ):
        self.launcher, self.directory, self.arguments = launcher, directory, list(arguments)
        self.progress, self.target = progress, target
        self._launched = 0

    def run(self, batch: Mapping[str, Sequence[str]], record: Record = lambda *_: None) -> dict[str, Outcome]:
        """Train {folder: overrides}; gives {folder: its result, or why there is none}.

        `record(folder, outcome)` is called with each as it comes, from a thread while others still run. Raises a
        user's mistake that a run has met: the other runs would meet it as well.
        """
        overrides = [
            [*self.arguments, *own, "quiet=true", f"hydra.sweep.subdir={folder}"] for folder, own in batch.items()
        ]
        with self._watched(list(batch), record):
            returns = self.launcher.launch(overrides, initial_job_idx=self._launched)
        self._launched += len(batch)
        outcomes = {folder: self._outcome(folder, job) for folder, job in zip(batch, returns, strict=True)}
        for folder, outcome in outcomes.items():
            if isinstance(outcome, Failure):
                self.progress.trial_done(None)
                record(folder, outcome)
        return outcomes

    def _outcome(self, folder: str, job: JobReturn) -> Outcome:
        if job.status == JobStatus.COMPLETED:
            return Result.load(self.directory / folder)
        error = job._return_value  # `return_value` would raise it
        if isinstance(error, CompactHydraException):
            raise error
        log.error("%s failed", folder, exc_info=error)
        status = "diverged" if isinstance(error, DivergedError) else "failed"
        return Failure(status, f"{type(error).__name__}: {error}")

    @contextmanager
    def _watched(self, folders: list[str], record: Record) -> Iterator[None]:
        """Launchers come back when a whole batch is done: a thread looks for results on disk meanwhile."""
        waiting, done = set(folders), threading.Event()

        def look() -> None:
            for folder in sorted(waiting):
                if (self.directory / folder / RESULT).exists():
                    result = Result.load(self.directory / folder)
                    record(folder, result)
                    waiting.discard(folder)  # last: what fails above is met again, and raised, when all have run
                    self.progress.trial_done(result.scores[self.target])

        def watch() -> None:
            while not done.wait(0.5):
                look()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            look()


def need(outcome: Outcome, what: str) -> Result:
    """The result of a run that the search cannot do without."""
    if isinstance(outcome, Result):
        return outcome
    raise CompactHydraException(f"{what} failed: {outcome.message}")
