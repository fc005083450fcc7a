"""Trainings through Hydra's launcher: what to run goes in as overrides, what came out is read from disk."""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher

from autosegloss.errors import DivergedError, RunError
from autosegloss.report.progress import SearchProgress
from autosegloss.runtime import Owner
from autosegloss.search import JsonLines
from autosegloss.training.outcome import RESULT, Result

from ._overrides import quoted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """Why a run has no result."""

    status: Literal["failed", "diverged", "lost"]
    message: str


Outcome = Result | Failure
Record = Callable[[str, Outcome], None]


class Jobs:
    """Runs batches of trainings, each in a folder of its own below `directory`.

    What has a result there is not run again. What fails is, `max_retries` times, and each time stands in
    failures.jsonl; a training that diverges does not: it would again. Where a process of the launcher dies, all that it
    was to run is launched again: that is no try of theirs, unless it leads nowhere `max_retries` times in a row.
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
        """Train {folder: overrides}; gives {folder: its result, or why there is none}, in this order.

        `record(folder, outcome)` is called once with each as it comes, from a thread while others still run. Raises a
        user's mistake that a run has met: the other runs would meet it as well.
        """
        outcomes: dict[str, Outcome] = {}

        def settle(folder: str, outcome: Outcome) -> None:
            outcomes[folder] = outcome
            record(folder, outcome)
            self.progress.trial_done(outcome.scores[self.target] if isinstance(outcome, Result) else None)

        for folder in batch:
            if isinstance(result := self._on_disk(folder), Result):
                settle(folder, result)
        tries, in_vain = Counter(), 0
        while left := [folder for folder in batch if folder not in outcomes]:
            before = len(outcomes), tries.total()
            for part in self._parts(left):
                for folder, failure in self._launch({folder: batch[folder] for folder in part}, settle).items():
                    tries[folder] += failure.status != "lost"
                    self._note(folder, tries[folder], failure)
                    if in_vain > self.max_retries and not self._has_begun(left):
                        raise CompactHydraException(f"the launcher cannot start a run: {failure.message}")
                    if tries[folder] > self.max_retries or failure.status == "diverged" or in_vain > self.max_retries:
                        settle(folder, failure)
            in_vain = 0 if (len(outcomes), tries.total()) != before else in_vain + 1
        return {folder: outcomes[folder] for folder in batch}

    def log_of(self, folder: str) -> Path:
        """The file with the output of a run."""
        return self.directory / folder / "run.log"

    def _has_begun(self, folders: Sequence[str]) -> bool:
        return any((self.directory / folder).exists() for folder in folders)

    def _parts(self, folders: list[str]) -> Iterator[list[str]]:
        size = self.max_batch_size or max(1, len(folders))
        return (folders[start : start + size] for start in range(0, len(folders), size))

    def _launch(self, batch: Mapping[str, Sequence[str]], settle: Record) -> dict[str, Failure]:
        """Run the batch once: results are settled, the failures are given back."""
        for folder in batch:
            (self.directory / folder / RESULT).unlink(missing_ok=True)
        owner = f"hydra.sweeper.owner={quoted(Owner.of(self.directory).token)}"
        overrides = [[*self.arguments, *own, owner, f"hydra.sweep.subdir={folder}"] for folder, own in batch.items()]
        with self._watched(list(batch), settle) as waiting:
            try:
                returns = self.launcher.launch(overrides, initial_job_idx=self.launched)
            except CompactHydraException:
                raise
            except Exception as error:  # a process of the launcher's own has died, and with it what it was to run
                log.exception("the launcher failed")
                Owner.renew(self.directory)  # what it still runs is not to go on beside what is launched now
                returns = [_broken(error)] * len(batch)
        self.launched += len(batch)
        failed = {}
        for folder, job in zip(batch, returns, strict=True):
            if folder in waiting:
                outcome = self._outcome(folder, job)
                if isinstance(outcome, Result):
                    settle(folder, outcome)
                else:
                    failed[folder] = outcome
        return failed

    def _outcome(self, folder: str, job: JobReturn) -> Outcome:
        if job.status == JobStatus.COMPLETED:
            return self._judged(Result(**job.return_value))  # the disk of another machine may show its file later
        error = job._return_value  # `return_value` would raise it
        if isinstance(error, CompactHydraException):
            raise error
        log.error("%s failed", folder, exc_info=error)
        if isinstance(error, _LostError):
            return Failure("lost", str(error))
        return Failure("diverged" if isinstance(error, DivergedError) else "failed", _line(error))

    def _on_disk(self, folder: str) -> Outcome | None:
        try:
            return self._judged(Result.load(self.directory / folder))
        except (OSError, ValueError, TypeError, KeyError):  # none, or a damaged one: as if there were none
            return None

    def _judged(self, result: Result) -> Outcome:
        if math.isfinite(result.scores[self.target]):
            return result
        return Failure("failed", f"{self.target} is not defined on the validation images: no class occurs in them")

    def _note(self, folder: str, attempt: int, failure: Failure) -> None:
        self._failures.append({"run": folder, "attempt": attempt, **asdict(failure)})

    @contextmanager
    def _watched(self, folders: list[str], settle: Record) -> Iterator[set[str]]:
        """Launchers come back when a whole batch is done: a thread looks for results on disk meanwhile.

        Gives the folders that have none yet.
        """
        waiting, done = set(folders), threading.Event()

        def look() -> None:
            for folder in sorted(waiting):
                if isinstance(result := self._on_disk(folder), Result):
                    settle(folder, result)
                    waiting.discard(folder)  # last: what fails above is met again

        def watch() -> None:
            while not done.wait(0.5):
                with suppress(OSError):  # a full disk: met again, and raised, when all have run
                    look()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield waiting
        finally:
            done.set()
            thread.join()
            look()


class _LostError(RuntimeError):
    """A run whose launcher has failed; it may have begun or not."""


def need(outcome: Outcome, what: str) -> Result:
    """The result of a run that the search cannot do without."""
    if isinstance(outcome, Result):
        return outcome
    raise CompactHydraException(f"{what} failed: {outcome.message}")


def _broken(error: Exception) -> JobReturn:
    job = JobReturn(status=JobStatus.FAILED)
    job.return_value = _LostError(f"the launcher lost it: {_line(error)}")
    return job


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, RunError | DivergedError) else f"{type(error).__name__}: {text}"
