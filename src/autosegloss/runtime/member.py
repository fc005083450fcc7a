"""One process of a crew, seen from the process that sends it work."""

from __future__ import annotations

import os
import pickle
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from autosegloss.training.environment import without_launcher
from autosegloss.training.outcome import Checked, Failure, Outcome

_SIGNALS = {number.value: number.name for number in signal.Signals}

Report = Outcome | Checked | None  # how a process ended its part; None: its imports are done, it waits for work


class Member:
    """A process, the leader of a group of its own, and the two pipes to it."""

    def __init__(self, rank: int, environment: Mapping[str, str], exit_seconds: float):
        self.rank, self.exit_seconds = rank, exit_seconds
        ours, theirs = os.pipe()
        self.reports = os.fdopen(ours, "rb")
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-m", "autosegloss.runtime.worker", str(theirs)],
                stdin=subprocess.PIPE,
                pass_fds=[theirs],
                start_new_session=True,
                env=dict(environment),
            )
        except BaseException:
            self.reports.close()
            raise
        finally:
            os.close(theirs)
        assert self.process.stdin is not None  # a pipe
        self.requests = self.process.stdin

    def settle(self, log: Path | None) -> None:
        """Direct its output to `log`, None is the console; it takes over our working folder and our module path."""
        self._write({"log": log and str(log), "cwd": os.getcwd(), "path": sys.path})

    def send(self, work: Mapping[str, Any]) -> None:
        """Have it run or check; it reports the outcome."""
        self._write(work)

    def _write(self, message: Mapping[str, Any]) -> None:
        with suppress(BrokenPipeError):  # it has died, as `report` will tell
            pickle.dump(message, self.requests)
            self.requests.flush()

    def report(self) -> Report:
        """Its next report; a Failure if the process has died."""
        try:
            return pickle.load(self.reports)
        except (EOFError, pickle.UnpicklingError):
            return Failure("failed", f"the process of the training {self._end()}")

    def _end(self) -> str:
        try:
            code = self.process.wait(self.exit_seconds)
        except subprocess.TimeoutExpired:
            return "has closed its pipe"
        if code >= 0:
            return f"ended with exit code {code}"
        return f"was killed by {_SIGNALS.get(-code, f'signal {-code}')}"

    def kill(self) -> None:
        """Kill it and all that it has started; once, because the system gives the number of a dead process away."""
        if not self.reports.closed:
            with suppress(ProcessLookupError, PermissionError):  # the group is empty
                os.killpg(self.process.pid, signal.SIGKILL)
            self.reports.close()

    def wait(self) -> None:
        """Wait for its end after `kill`."""
        self.process.wait()
        with suppress(OSError):  # part of a request is still in the buffer
            self.requests.close()


def environment(rank: int, size: int, port: int) -> dict[str, str]:
    """This process's environment with our variables for the ranks in the place of a launcher's."""
    env = without_launcher()
    if size > 1:
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "NODE_RANK": 0, "MASTER_PORT": port}
        env |= {name: str(value) for name, value in ranks.items()} | {"MASTER_ADDR": "127.0.0.1"}
    return env


def free_port() -> int:
    """A free port, below those that the system gives to outgoing connections: it is used only seconds later."""
    system = random.SystemRandom()  # the seed of this process may be that of others
    while True:
        with suppress(OSError), socket.socket() as free:
            free.bind(("", system.randrange(15_000, 30_000)))
            return free.getsockname()[1]
