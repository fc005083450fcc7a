"""A process that outlives a killed search and kills the processes that a launcher keeps for more work.

python -S guardian.py NAME=VALUE      waits until stdin closes, then kills all processes with that in their environment

It reads /proc itself, because psutil would double the time of its start.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from contextlib import AbstractContextManager, suppress

MARK = "AUTOSEGLOSS_SEARCH"  # environment variable that all processes of a search inherit
QUIET = 3.0  # seconds without finding a process, after which none can still be starting


class Guardian(AbstractContextManager):
    """Within it, all processes that this process starts on this host end with it, even if it is killed (on Linux)."""

    def __enter__(self) -> Guardian:
        environment = dict(os.environ)
        os.environ[MARK] = uuid.uuid4().hex
        theirs, self._pipe = os.pipe()
        command = [sys.executable, "-S", "-E", __file__, f"{MARK}={os.environ[MARK]}"]
        silent = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
        files = [(os.POSIX_SPAWN_DUP2, theirs, 0), *silent]  # a reader of our output must not wait for the guardian
        # in a group of its own, which a terminal's Ctrl-C does not reach
        self._process = os.posix_spawn(sys.executable, command, environment, file_actions=files, setpgroup=0)
        os.close(theirs)
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        del os.environ[MARK]
        if error is not None and not issubclass(error, Exception):
            return  # an interrupt: the pipe closes when this process ends, and the guardian kills what is left
        with suppress(OSError):
            os.write(self._pipe, b"all is well")  # the launcher has come back, and ends its processes itself
        os.close(self._pipe)
        with suppress(ChildProcessError):
            os.waitpid(self._process, 0)


def main(mark: bytes) -> None:
    """Wait until stdin closes, then kill what is left, unless a message said that all is well."""
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
        with suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:  # another user's, or ended
            if mark in file.read().split(b"\0"):
                marked.append(int(name))
    return marked


if __name__ == "__main__":
    main(sys.argv[1].encode())
