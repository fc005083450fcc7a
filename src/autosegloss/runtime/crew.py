"""The processes that train, seen from the process that sends them their work."""

from __future__ import annotations

import atexit
import os
import selectors
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from autosegloss.runtime.member import Member, Report, environment, free_port
from autosegloss.runtime.relay import relayed
from autosegloss.training.outcome import DISOWNED, Checked, Failure, Outcome, Planned, Result, log_name

STARTUP = 600.0  # seconds that the imports may take, on the slowest network drive
SAVING = 30.0  # seconds that rank 0 has to save its weights after SIGTERM
EXIT = 10.0  # seconds that a process has to end after it has closed its pipe


class Request(NamedTuple):
    """One run: its config, resolved and in plain types; its folder; whether rank 0 writes to the console."""

    config: dict[str, Any]
    folder: str
    console: bool = False


class Crew:
    """`size` processes that train together, one a rank; they live on from one run to the next.

    If one of them fails, all end, so that the next crew starts clean. They end with the process that made them,
    however that ends: each sees its end of a pipe close. startup and exit_seconds: how long to wait for the imports,
    and for the end of a process that has closed its pipe.
    """

    def __init__(self, size: int = 1, startup: float = STARTUP, exit_seconds: float = EXIT):
        self.size, self.startup, self.exit_seconds = size, startup, exit_seconds
        self._relayed: set[int] = set()
        self._start()

    @property
    def usable(self) -> bool:
        """Whether all of its processes wait for work."""
        return [member.process.poll() for member in self._members] == [None] * self.size

    @property
    def pids(self) -> list[int]:
        """The process numbers, by rank."""
        return [member.process.pid for member in self._members]

    def train(
        self, request: Request, timeout: float | None = None, is_alive: Callable[[], bool] = lambda: True
    ) -> Outcome:
        """Run once; the outcome is in the folder of the request, too.

        A process that dies, more than `timeout` seconds, and a search that is not alive any more are Failures. The
        last leaves the folder as it is: a resumed search may use it. Raises KeyboardInterrupt, with the message of
        rank 0 if that writes to the console.
        """
        folder = Path(request.folder).absolute()
        try:
            outcome = self._run(request, folder, timeout, is_alive)
        except KeyboardInterrupt:
            interrupted = Failure("interrupted", self._interrupt(request.console))
            interrupted.save(folder)
            raise KeyboardInterrupt(interrupted.message) from None
        except BaseException:
            self.close()
            raise
        if isinstance(outcome, Failure):
            if self.size > 1 or outcome.kind not in ("mistake", "diverged"):  # other ranks wait for the failed one
                self.close()
            if is_alive():
                outcome.save(folder)
        return outcome

    def check(self, runs: Mapping[str, Planned], read: bool) -> Checked | Failure:
        """Check runs as `training.check.check_runs` does; what the processes print is lost."""
        try:
            self.begin()
            checked = self._exchange({"runs": dict(runs), "read": read}, None, lambda: True)
        except BaseException:
            self.close()
            raise
        assert isinstance(checked, (Checked, Failure))
        return checked

    def begin(self) -> None:
        """Have the processes do their imports, while there is no work for them; what they print is lost."""
        for member in self._members:
            member.settle(Path(os.devnull))

    def close(self) -> None:
        """Kill the processes and all that they have started."""
        for member in self._members:
            member.kill()
        for member in self._members:
            member.wait()

    def _start(self) -> None:
        self._members: list[Member] = []
        self._ready, self._devices = False, None
        port = free_port()
        try:
            for rank in range(self.size):
                self._members.append(Member(rank, environment(rank, self.size, port), self.exit_seconds))
        except BaseException:
            self.close()
            raise

    def _run(self, request: Request, folder: Path, timeout: float | None, is_alive: Callable[[], bool]) -> Outcome:
        self._prepare(request, folder)
        work = {"config": request.config, "folder": str(folder)}
        with relayed(self._relay) if request.console else nullcontext(set[int]()) as self._relayed:
            outcome = self._exchange(work, timeout, is_alive)
        assert isinstance(outcome, (Result, Failure))  # a worker says only once that it is ready
        return outcome

    def _relay(self, number: int) -> None:
        """Send a signal to rank 0, with which the others agree; before it is ready, SIGTERM alone."""
        if self._ready or number == signal.SIGTERM:
            self._members[0].process.send_signal(number)

    def _exchange(self, work: Mapping[str, Any], timeout: float | None, is_alive: Callable[[], bool]) -> Report:
        """Give work to the processes, as soon as they are ready; returns their report on it."""
        if not self._ready:
            report = self._wait(self.startup, "the processes did not start", is_alive)
            if report is not None:
                return report
            self._ready = True
        for member in self._members:
            member.send(work)
        return self._wait(timeout, "no result", is_alive)

    def _prepare(self, request: Request, folder: Path) -> None:
        """Direct the output of the processes to the folder; start others if the run is on other devices."""
        devices = request.config.get("trainer", {}).get("devices")
        if self.size > 1 and self._ready and devices != self._devices:  # their group is bound to its GPUs
            self.close()
            self._start()
        self._devices = devices
        for member in self._members:
            member.settle(None if request.console and not member.rank else folder / log_name(member.rank))

    def _wait(self, timeout: float | None, what: str, is_alive: Callable[[], bool]) -> Report:
        """Wait for a report of each process; returns that of rank 0, or the first failures as one."""
        end = None if timeout is None else time.monotonic() + timeout
        reports: dict[int, Report] = {}
        with selectors.DefaultSelector() as selector:
            for member in self._members:
                selector.register(member.reports, selectors.EVENT_READ, member)
            while selector.get_map():
                if end is not None and time.monotonic() > end:
                    return Failure("failed", f"{what} after {timeout:g} seconds")
                if not is_alive():
                    return DISOWNED
                new = _reports(selector, 0.5 if end is None else min(0.5, max(0.01, end - time.monotonic())))
                if _failures(new):
                    return self._ended(selector, new)
                reports |= new
        return reports[0]

    def _ended(self, selector: selectors.BaseSelector, reports: dict[int, Report]) -> Failure:
        """The failures of the ranks as one; the others fail soon after the first, and the message is to name all."""
        if signal.SIGTERM not in self._relayed:
            return _as_one(_failures(reports | _reports(selector, 0.5)), self.size)
        while 0 not in reports and (more := _reports(selector, SAVING)):  # rank 0 has weights to save
            reports |= more
        first = reports.get(0)
        return first if isinstance(first, Failure) and first.kind == "interrupted" else Failure("interrupted", "")

    def _interrupt(self, console: bool) -> str:
        """Interrupt rank 0 as Ctrl-C does if it writes to the console, then end all; returns the message of rank 0."""
        try:
            if not (console and self._ready):
                return ""
            first = self._members[0]
            first.process.send_signal(signal.SIGINT)
            with selectors.DefaultSelector() as selector:
                selector.register(first.reports, selectors.EVENT_READ)
                report = first.report() if selector.select(30) else None
            return report.message if isinstance(report, Failure) and report.kind == "interrupted" else ""
        finally:
            self.close()


def _reports(selector: selectors.BaseSelector, seconds: float) -> dict[int, Report]:
    """{rank: report} of the processes that report within so many seconds; they leave the selector."""
    reports = {}
    for key, _ in selector.select(seconds) if selector.get_map() else ():  # an empty selector would wait, too
        reports[key.data.rank] = key.data.report()
        selector.unregister(key.fileobj)
    return reports


def _failures(reports: Mapping[int, Report]) -> dict[int, Failure]:
    return {rank: report for rank, report in sorted(reports.items()) if isinstance(report, Failure)}


def _as_one(failures: Mapping[int, Failure], size: int) -> Failure:
    """The failure of the run, from those of its ranks."""
    for kind in ("mistake", "diverged"):  # these are causes; a rank that lost its peer has failed
        for failure in failures.values():
            if failure.kind == kind:
                return failure
    messages = {rank: failure.message for rank, failure in failures.items() if failure.kind == "failed"}
    if not messages:  # interrupted, but not by the user, whom this process would have heard
        messages = {rank: f"the training was interrupted {failure.message}" for rank, failure in failures.items()}
    lines = [f"rank {rank}: {message}" if size > 1 else message for rank, message in messages.items()]
    return Failure("failed", "; ".join(line.rstrip() for line in lines))


_crews: dict[int, Crew] = {}
os.register_at_fork(after_in_child=_crews.clear)  # the processes belong to the parent


def crew_of(size: int) -> Crew:
    """The crew of this process, which has its imports done and the data decoded; a new one if it cannot be used."""
    for other, crew in list(_crews.items()):
        if other != size or not crew.usable:
            _crews.pop(other).close()
    if size not in _crews:
        _crews[size] = Crew(size)
    return _crews[size]


@atexit.register
def close_crews() -> None:
    """Close all crews of this process; `crew_of` starts new ones."""
    while _crews:
        _crews.popitem()[1].close()
