"""A process that outlives a killed search and ends what it leaves: launchers keep processes that wait for more work.

python -S guardian.py NAME=VALUE      waits until stdin closes, then kills whatever has that in its environment
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import AbstractContextManager, suppress

MARK = "AUTOSEGLOSS_SEARCH"  # all that a search starts, directly or not, inherits it
_waiting: list[subprocess.Popen] = []
QUIET = 3.0  # seconds without finding any, until none is taken to be still starting


class Guardian(AbstractContextManager):
    """Within it, what this process starts on this host ends with it, even if it is killed (on Linux)."""

    def __enter__(self) -> Guardian:
        environment = dict(os.environ)
        os.environ[MARK] = uuid.uuid4().hex
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", __file__, f"{MARK}={os.environ[MARK]}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # nobody who reads our output shall wait for it
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a terminal's Ctrl-C is not meant for it
            env=environment,
        )
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        del os.environ[MARK]
        if error is None or issubclass(error, Exception):  # the launcher has come back, and ends its own
            with suppress(OSError):
                self._process.communicate(b"all is well")
        else:  # an interrupt: this process ends, the pipe closes with it, and what is left then is nobody's
            _waiting.append(self._process)


def main(mark: bytes) -> None:
    """Wait, and end what is left, unless told that all is well."""
    if sys.stdin.buffer.read():
        return
    last = time.monotonic()
    while time.monotonic() < last + QUIET:
        for process in _marked(mark):
            last = time.monotonic()
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.1)


def _marked(mark: bytes) -> list[int]:
    marked = []
    for name in filter(str.isdecimal, os.listdir("/proc") if os.path.isdir("/proc") else ()):
        with suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:  # of another user, or ended
            if mark in file.read().split(b"\0"):
                marked.append(int(name))
    return marked


if __name__ == "__main__":
    main(sys.argv[1].encode())
