"""Runs through Hydra's launcher: overrides go in, outcomes come back or are read from disk."""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher

from autosegloss.cli.overrides import quoted
from autosegloss.report.progress import SearchProgress
from autosegloss.runtime import Owner
from autosegloss.search import JsonLines
from autosegloss.training.outcome import Failure, Outcome, Result, discard_outcome, log_name, outcome_of

log = logging.getLogger(__name__)


Record = Callable[[str, Outcome], None]


class Jobs:
    """Runs batches of runs, each in a folder of its own below `directory`.

    A run whose folder has a result is not repeated. A run that fails is repeated up to `max_retries` times, and
    failures.jsonl has a line for each failure; a run that diverges is not, because it would diverge again. If a process
    of the launcher dies, the runs lost with it are launched again. That does not count as a try, unless `max_retries`
    launches in a row settle nothing.
    """

    def __init__(
        self,
        launcher: Launcher,
        directory: Path,
        arguments: Sequence[str],
        progress: SearchProgress,
        target: str,
        max_retries: int = 0,
        max_batch_size: int | None = None,
    ):
        self.launcher, self.directory = launcher, directory
        self.arguments = [*arguments, f"hydra.sweep.dir={quoted(directory)}"]
        self.progress, self.target = progress, target
        self.max_retries, self.max_batch_size = max_retries, max_batch_size
        self.launched = 0
        self._failures = JsonLines(directory / "failures.jsonl")

    def run(self, batch: Mapping[str, Sequence[str]], record: Record = lambda *_: None) -> dict[str, Outcome]:
        """Run {folder: overrides}; returns {folder: outcome}, in this order.

        `record(folder, outcome)` is called once for each run as it ends, from a thread while others still run. Raises
        CompactHydraException for a user's mistake: the other runs would meet it, too.
        """
        outcomes: dict[str, Outcome] = {}

        def settle(folder: str, outcome: Outcome) -> None:
            outcomes[folder] = outcome
            record(folder, outcome)
            self.progress.trial_done(outcome.scores[self.target] if isinstance(outcome, Result) else None)

        for folder in batch:
            if isinstance(result := self._on_disk(folder), Result):
                settle(folder, result)
        tries: Counter[str] = Counter()
        in_vain = 0
        while left := [folder for folder in batch if folder not in outcomes]:
            before = len(outcomes), tries.total()
            for part in self._parts(left):
                for folder, failure in self._launch({folder: batch[folder] for folder in part}, settle).items():
                    tries[folder] += failure.kind != "lost"
                    self._note(folder, tries[folder], failure)
                    if in_vain > self.max_retries and not self._has_begun(left):
                        raise CompactHydraException(f"the launcher cannot start a run: {failure.message}")
                    if tries[folder] > self.max_retries or failure.kind == "diverged" or in_vain > self.max_retries:
                        settle(folder, failure)
            in_vain = 0 if (len(outcomes), tries.total()) != before else in_vain + 1
        return {folder: outcomes[folder] for folder in batch}

    def log_of(self, folder: str) -> Path:
        """The file with the output of a run."""
        return self.directory / folder / log_name()

    def _has_begun(self, folders: Sequence[str]) -> bool:
        return any((self.directory / folder).exists() for folder in folders)

    def _parts(self, folders: list[str]) -> Iterator[list[str]]:
        size = self.max_batch_size or max(1, len(folders))
        return (folders[start : start + size] for start in range(0, len(folders), size))

    def _launch(self, batch: Mapping[str, Sequence[str]], settle: Record) -> dict[str, Failure]:
        """Launch the batch once; settles the results and returns the failures."""
        for folder in batch:
            discard_outcome(self.directory / folder)
        owner = f"hydra.sweeper.owner={quoted(self._token())}"
        overrides = [[*self.arguments, *own, owner, f"hydra.sweep.subdir={folder}"] for folder, own in batch.items()]
        with self._watched(list(batch), settle) as waiting:
            ended: Sequence[JobReturn | Failure]
            try:
                ended = self.launcher.launch(overrides, initial_job_idx=self.launched)
            except CompactHydraException:
                raise
            except Exception as error:  # a process of the launcher has died, and its runs with it
                log.exception("the launcher failed")
                Owner.renew(self.directory)  # its other runs must end before the same runs are launched again
                ended = [Failure("lost", f"the launcher lost it: {Failure.unexpected(error).message}")] * len(batch)
        self.launched += len(batch)
        failed = {}
        for folder, job in zip(batch, ended, strict=True):
            if folder in waiting:
                outcome = self._judged(_outcome(job))
                if isinstance(outcome, Result):
                    settle(folder, outcome)
                else:
                    log.error("%s failed: %s", folder, outcome.message)
                    failed[folder] = outcome
        return failed

    def _token(self) -> str:
        """The token of the search, which holds its directory."""
        owner = Owner.of(self.directory)
        assert owner is not None
        return owner.token

    def _on_disk(self, folder: str) -> Outcome | None:
        try:
            return self._judged(Result.load(self.directory / folder))
        except (OSError, ValueError, TypeError, KeyError):  # the file is missing or damaged
            return None

    def _judged(self, outcome: Outcome) -> Outcome:
        """The outcome for the search: a failure without a finite score or a file; a mistake of the user is raised."""
        if isinstance(outcome, Failure):
            if outcome.kind == "mistake":
                raise CompactHydraException(outcome.message)
            return outcome
        if outcome.unsaved:
            return Failure("failed", outcome.unsaved)
        if math.isfinite(outcome.scores[self.target]):
            return outcome
        return Failure("failed", f"{self.target} is not defined on the validation images: no class occurs in them")

    def _note(self, folder: str, attempt: int, failure: Failure) -> None:
        record = {"run": folder, "attempt": attempt, "status": failure.kind, "message": failure.message}
        self._failures.append(record)

    @contextmanager
    def _watched(self, folders: list[str], settle: Record) -> Iterator[set[str]]:
        """Settle results from disk, in a thread: a launcher returns only when the whole batch has ended.

        Yields the folders without a result so far.
        """
        waiting, done = set(folders), threading.Event()

        def look() -> None:
            for folder in sorted(waiting):
                if isinstance(result := self._on_disk(folder), Result):
                    settle(folder, result)
                    waiting.discard(folder)  # last: if a line above fails, it is tried again

        def watch() -> None:
            while not done.wait(0.5):
                with suppress(OSError):  # the disk is full: the last look raises it again
                    look()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield waiting
        finally:
            done.set()
            thread.join()
            look()


def need(outcome: Outcome, what: str) -> Result:
    """The result of a run that the search needs; a failure ends it."""
    if isinstance(outcome, Result):
        return outcome
    raise CompactHydraException(f"{what} failed: {outcome.message}")


def _outcome(job: JobReturn | Failure) -> Outcome:
    """The outcome that a job has returned; the file of another machine may appear on this disk later."""
    if isinstance(job, Failure):
        return job
    if job.status == JobStatus.COMPLETED:
        return outcome_of(job.return_value)
    error = job._return_value  # `return_value` would print a line and raise it
    if isinstance(error, CompactHydraException):
        raise error
    log.error("a job failed", exc_info=error)
    return Failure.unexpected(error)
