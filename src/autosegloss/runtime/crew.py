"""The processes that train, seen from the one that sends them their work."""

from __future__ import annotations

import atexit
import os
import selectors
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from autosegloss.errors import DivergedError, InputError, RunError
from autosegloss.runtime.member import Member, Report, environment, free_port

STARTUP = 600.0  # seconds that the imports may take, on the slowest network drive
# what a training raises that ended like this; of several ends the first here counts
_RAISED = {"mistake": InputError, "diverged": DivergedError, "failed": RunError, "interrupted": RunError}


class Request(NamedTuple):
    """One training: its config, resolved and in plain types; its folder; and whether it writes to the console."""

    config: dict[str, Any]
    directory: str
    console: bool = False


class Crew:
    """`size` processes that train together, one a rank; they live on from one training to the next.

    What fails in one of them ends them all, so that the next crew starts clean. They end with the process that
    made them, however that ends: each sees its end of a pipe close.
    """

    def __init__(self, size: int = 1):
        self.size = size
        self._start()

    @property
    def usable(self) -> bool:
        """Whether all of its processes wait for work."""
        return [member.process.poll() for member in self._members] == [None] * self.size

    def train(
        self,
        request: Request,
        timeout: float | None = None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Run one training to its end; it leaves result.json in its folder.

        Raises what it ended with: InputError, DivergedError, or RunError for anything else, for a process that
        died, for one that needs more than `timeout` seconds, and as soon as nobody has `wanted` it any more.
        """
        directory = Path(request.directory).absolute()
        try:
            self._prepare(request, directory, wanted)
            for member in self._members:
                member.send(request.config, directory)
            self._wait(timeout, "no result", wanted)
        except (DivergedError, InputError):
            if self.size > 1:  # the others wait for the one that has stopped
                self.close()
            raise
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._interrupt(request.console)) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Kill the processes and all they have started."""
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
                self._members.append(Member(rank, environment(rank, self.size, port)))
        except BaseException:
            self.close()
            raise

    def _prepare(self, request: Request, directory: Path, wanted: Callable[[], bool]) -> None:
        """Have the processes where the training needs them: imports done, and the output in its folder."""
        devices = request.config.get("trainer", {}).get("devices")
        if self.size > 1 and self._ready and devices != self._devices:  # their group is bound to its GPUs
            self.close()
            self._start()
        self._devices = devices
        for member in self._members:
            member.settle(None if request.console and not member.rank else directory / log_name(member.rank))
        if not self._ready:
            self._wait(STARTUP, "the processes did not start", wanted)
            self._ready = True

    def _wait(self, timeout: float | None, what: str, wanted: Callable[[], bool]) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            for member in self._members:
                selector.register(member.reports, selectors.EVENT_READ, member)
            while selector.get_map():
                if end is not None and time.monotonic() > end:
                    raise RunError(f"{what} after {timeout:g} seconds")
                if not wanted():
                    raise RunError("the search that launched this run has ended")
                left = 0.5 if end is None else min(0.5, max(0.01, end - time.monotonic()))
                if reports := _reports(selector, left):
                    # where one rank fails the others soon do, and all are to be named
                    soon = 0.5 * any(report.bad for report in reports.values())
                    self._judge(reports | _reports(selector, soon))

    def _judge(self, reports: Mapping[int, Report]) -> None:
        """Raise what is bad."""
        bad = {rank: report for rank, report in sorted(reports.items()) if report.bad}
        for status, error in _RAISED.items():
            messages = {rank: report.message for rank, report in bad.items() if report.status == status}
            if status == "interrupted":
                messages = {rank: f"the training was interrupted {text}".rstrip() for rank, text in messages.items()}
            if messages and (self.size == 1 or error is not RunError):
                raise error(next(iter(messages.values())))
            if messages:
                raise error("; ".join(f"rank {rank}: {text}" for rank, text in messages.items()))

    def _interrupt(self, console: bool) -> str:
        """End all, after rank 0 has ended as a training does that a user interrupts; what it says."""
        try:
            if not (console and self._ready):
                return ""
            first = self._members[0]
            first.process.send_signal(signal.SIGINT)
            with selectors.DefaultSelector() as selector:
                selector.register(first.reports, selectors.EVENT_READ)
                report = first.report() if selector.select(30) else Report("failed")
            return report.message if report.status == "interrupted" else ""
        finally:
            self.close()


def _reports(selector: selectors.BaseSelector, seconds: float) -> dict[int, Report]:
    """{rank: report} of those that report within so many seconds; they are waited for no longer."""
    reports = {}
    for key, _ in selector.select(seconds) if selector.get_map() else ():  # one of nothing would wait all the same
        reports[key.data.rank] = key.data.report()
        selector.unregister(key.fileobj)
    return reports


def log_name(rank: int = 0) -> str:
    """The file that the output of a training goes to."""
    return f"run.rank{rank}.log" if rank else "run.log"


_crews: dict[int, Crew] = {}
os.register_at_fork(after_in_child=_crews.clear)  # they work for the parent


def crew_of(size: int) -> Crew:
    """The crew of this process, which has its imports done and the data decoded; a new one where there is none."""
    for other, crew in list(_crews.items()):
        if other != size or not crew.usable:
            _crews.pop(other).close()
    if size not in _crews:
        _crews[size] = Crew(size)
    return _crews[size]


@atexit.register
def _close_all() -> None:
    for crew in _crews.values():
        crew.close()
