"""The processes that train, seen from the one that sends them their work."""

from __future__ import annotations

import atexit
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from autosegloss.errors import DivergedError, InputError, RunError

STARTUP = 600.0  # seconds that the imports may take, on the slowest network drive
_RANKS = {f"{of}{name}" for name in ("RANK", "WORLD_SIZE") for of in ("", "LOCAL_", "GROUP_", "NODE_")}
_FOREIGN = ("TORCHELASTIC_", "SLURM_", "SUBMITIT_", "PL_", "MASTER_")
_RAISED = {"mistake": InputError, "diverged": DivergedError, "failed": RunError}  # the worst first


class Request(NamedTuple):
    """One training: its config, resolved and in plain types; its folder; and whether it writes to the console."""

    config: dict[str, Any]
    directory: str
    console: bool = False


class Report(NamedTuple):
    """How a process ended its part: "ready", "ok", "failed", "diverged", "mistake" or "interrupted"."""

    status: str
    message: str = ""


class Crew:
    """`size` processes that train together, one a rank; they live on from one training to the next.

    What fails in one of them ends them all, so that the next crew starts clean. They end with the process that
    made them, however that ends: each sees its end of a pipe close.
    """

    def __init__(self, size: int = 1):
        self.size, self.ready = size, False
        port = _free_port()
        self._members = [_Member(rank, _environment(rank, size, port)) for rank in range(size)]

    @property
    def usable(self) -> bool:
        """Whether all of its processes wait for work."""
        return all(member.process.poll() is None for member in self._members)

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
        try:
            for member in self._members:
                member.log_to(None if request.console and not member.rank else Path(request.directory))
            if not self.ready:
                self._wait(STARTUP, "the processes did not start", wanted)
                self.ready = True
            self._send(request)
            self._wait(timeout, "no result", wanted)
        except DivergedError:
            if self.size > 1:  # the others wait for the one that has stopped
                self.close()
            raise
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._interrupt() if request.console else "") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Kill the processes and all they have started."""
        for member in self._members:
            member.kill()

    def _send(self, request: Request) -> None:
        for member in self._members:
            member.send(request)

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
                    self._judge(reports | _reports(selector, 0.5 * any(map(_bad, reports.values()))))

    def _judge(self, reports: Mapping[int, Report]) -> None:
        """Raise what is bad; where one rank fails the others soon do, so that all are named."""
        bad = {rank: report for rank, report in sorted(reports.items()) if _bad(report)}
        if bad:
            status = min((report.status for report in bad.values()), key=list(_RAISED).index)
            named = [f"rank {rank}: {report.message}" for rank, report in bad.items() if report.status == status]
            plain = self.size == 1 or status != "failed"
            raise _RAISED[status](next(iter(bad.values())).message if plain else "; ".join(named))

    def _interrupt(self) -> str:
        """Let rank 0 end as a training does that is interrupted; what it says."""
        first = self._members[0]
        try:
            first.process.send_signal(signal.SIGINT)
            with selectors.DefaultSelector() as selector:
                selector.register(first.reports, selectors.EVENT_READ)
                return first.report().message if selector.select(30) else ""
        finally:
            self.close()


def _bad(report: Report) -> bool:
    return report.status not in ("ready", "ok")


def _reports(selector: selectors.BaseSelector, seconds: float) -> dict[int, Report]:
    """{rank: report} of those that report within so many seconds; they are waited for no longer."""
    reports = {}
    for key, _ in selector.select(seconds):
        reports[key.data.rank] = key.data.report()
        selector.unregister(key.fileobj)
    return reports


class _Member:
    """One process, the leader of a group of its own, and the two pipes to it."""

    def __init__(self, rank: int, environment: Mapping[str, str]):
        self.rank = rank
        ours, theirs = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "autosegloss.processes.worker", str(theirs)],
            stdin=subprocess.PIPE,
            pass_fds=[theirs],
            start_new_session=True,
            env=dict(environment),
            text=True,
        )
        os.close(theirs)
        self.reports = os.fdopen(ours, encoding="utf-8")
        self._log: Path | None = None

    def log_to(self, directory: Path | None) -> None:
        """Say where the output goes from now on; None is the console."""
        self._log = directory and directory / log_name(self.rank)
        self._write({"log": self._log and str(self._log)})

    def send(self, request: Request) -> None:
        self._write(request._asdict())

    def _write(self, line: Mapping[str, Any]) -> None:
        with suppress(BrokenPipeError):  # it has died, and its report will say so
            self.process.stdin.write(json.dumps(line) + "\n")
            self.process.stdin.flush()

    def report(self) -> Report:
        """The next report; one of its own if the process has died."""
        line = self.reports.readline()
        if line:
            return Report(*json.loads(line))
        code = self.process.wait()
        ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return Report("failed", f"the process of the training {ended}")

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.reports):
            with suppress(OSError):
                pipe.close()


def log_name(rank: int = 0) -> str:
    """The file that the output of a training goes to."""
    return f"run.rank{rank}.log" if rank else "run.log"


_crews: dict[int, Crew] = {}


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


def _environment(rank: int, size: int, port: int) -> dict[str, str]:
    """This process's environment without what a launcher tells about ranks; ours instead."""
    own = {name for name in os.environ if name not in _RANKS and not name.startswith(_FOREIGN)}
    env = {name: os.environ[name] for name in own}
    if size > 1:
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "NODE_RANK": 0, "MASTER_PORT": port}
        env |= {name: str(value) for name, value in ranks.items()} | {"MASTER_ADDR": "127.0.0.1"}
    return env


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
