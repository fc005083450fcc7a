"""One process of a crew, seen from the one that sends it work: how it is started, told, heard and ended."""

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
from typing import Any, NamedTuple

_END = 10.0  # seconds that a process has to end once it has closed its pipe
_RANKS = {f"{of}{name}" for name in ("RANK", "WORLD_SIZE") for of in ("", "LOCAL_", "GROUP_", "NODE_", "ROLE_")}
_FOREIGN = ("TORCHELASTIC_", "SLURM_", "SUBMITIT_", "LSB_", "JSM_", "OMPI_", "PMI_", "PMIX_", "PL_", "MASTER_")
_SIGNALS = {number.value: number.name for number in signal.Signals}


class Report(NamedTuple):
    """How a process ended its part: "ready", "ok", "failed", "diverged", "mistake" or "interrupted"."""

    status: str
    message: str = ""

    @property
    def bad(self) -> bool:
        return self.status not in ("ready", "ok")


class Member:
    """A process, the leader of a group of its own, and the two pipes to it."""

    def __init__(self, rank: int, environment: Mapping[str, str]):
        self.rank = rank
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

    def settle(self, log: Path | None) -> None:
        """Say where its output goes from now on, None is the console; it works in our folder, with our modules."""
        self._write({"log": log and str(log), "cwd": os.getcwd(), "path": sys.path})

    def send(self, config: Mapping[str, Any], directory: Path) -> None:
        self._write({"config": config, "directory": str(directory)})

    def _write(self, message: Mapping[str, Any]) -> None:
        with suppress(BrokenPipeError):  # it has died, and its report will say so
            pickle.dump(message, self.process.stdin)
            self.process.stdin.flush()

    def report(self) -> Report:
        """The next report; one of its own if the process has died."""
        try:
            return Report(*pickle.load(self.reports))
        except (EOFError, pickle.UnpicklingError):
            return Report("failed", f"the process of the training {self._end()}")

    def _end(self) -> str:
        try:
            code = self.process.wait(_END)
        except subprocess.TimeoutExpired:
            return "has closed its pipe"
        if code >= 0:
            return f"ended with exit code {code}"
        return f"was killed by {_SIGNALS.get(-code, f'signal {-code}')}"

    def kill(self) -> None:
        """End it and what it has started; once, since the number of a process that was waited for may be another's."""
        if not self.reports.closed:
            with suppress(ProcessLookupError, PermissionError):  # the group is empty
                os.killpg(self.process.pid, signal.SIGKILL)
            self.reports.close()

    def wait(self) -> None:
        """Until it has ended, after `kill`."""
        self.process.wait()
        with suppress(OSError):  # what it was not told any more
            self.process.stdin.close()


def environment(rank: int, size: int, port: int) -> dict[str, str]:
    """This process's environment without what a launcher tells about ranks; ours instead."""
    own = {name for name in os.environ if name not in _RANKS and not name.startswith(_FOREIGN)}
    env = {name: os.environ[name] for name in own}
    if size > 1:
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "NODE_RANK": 0, "MASTER_PORT": port}
        env |= {name: str(value) for name, value in ranks.items()} | {"MASTER_ADDR": "127.0.0.1"}
    return env


def free_port() -> int:
    """A port that nobody listens on, below those of outgoing connections: it is used only seconds later."""
    system = random.SystemRandom()  # others may have the seed of this process
    while True:
        with suppress(OSError), socket.socket() as free:
            free.bind(("", system.randrange(15_000, 30_000)))
            return free.getsockname()[1]
