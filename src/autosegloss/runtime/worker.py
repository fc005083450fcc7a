"""One process of a crew: reads what to train from stdin, a pickle each, until it closes.

python -m autosegloss.runtime.worker FD      reports go to the file descriptor FD
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, BinaryIO, NoReturn


def main(reports: BinaryIO) -> NoReturn:
    """Train one request after the other, and report each."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background makes us deaf to it
    console = [os.dup(1), os.dup(2)]
    requests = _requests()
    _settle(console, **requests.get())
    from autosegloss.runtime.train import train  # the heavy imports, and their errors, go to the log

    _report(reports, "ready")
    while True:
        request = requests.get()
        if "log" in request:
            _settle(console, **request)
        else:
            outcome = train(**request)
            _flush()  # whoever hears of the end finds the whole log
            _report(reports, *outcome)


def _requests() -> queue.SimpleQueue[dict[str, Any]]:
    """What comes in; a thread of its own sees the pipe close, and with it the process that wants our work."""
    incoming: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    source = os.fdopen(os.dup(0), "rb")  # ours alone: what a training starts, or asks, reads an empty stdin
    _point([0], os.open(os.devnull, os.O_RDONLY))

    def read() -> None:
        try:
            while True:
                incoming.put(pickle.load(source))
        finally:
            os.killpg(0, signal.SIGKILL)  # the workers of our data loaders, too

    threading.Thread(target=read, daemon=True).start()
    return incoming


def _settle(console: Sequence[int], log: str | None, cwd: str, path: Sequence[str]) -> None:
    """Write to `log` (None: to where the output went at first), and work as the process that wants our work."""
    _flush()
    if log is None:
        for stream, original in zip((1, 2), console, strict=True):
            os.dup2(original, stream)
    else:
        os.makedirs(os.path.dirname(log), exist_ok=True)
        _point([1, 2], os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666))
    os.chdir(cwd)
    sys.path += [entry for entry in path if entry not in sys.path]


def _point(streams: Sequence[int], target: int) -> None:
    for stream in streams:
        os.dup2(target, stream)
    os.close(target)


def _report(reports: BinaryIO, status: str, message: str = "") -> None:
    pickle.dump((status, message[:2000]), reports)
    reports.flush()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # a full disk
            stream.flush()


def _told(error: BaseException) -> tuple[str, str]:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", ""
    return "failed", f"{type(error).__name__}: {' '.join(str(error).split())}"


if __name__ == "__main__":
    os.set_inheritable(int(sys.argv[1]), False)
    out = os.fdopen(int(sys.argv[1]), "wb")
    os.register_at_fork(after_in_child=out.close)  # it closes with this process, whoever lives on
    for text in (sys.stdout, sys.stderr):
        text.reconfigure(line_buffering=True)  # the last lines before a sudden end are those that matter
    try:
        main(out)
    except BaseException as error:  # in what surrounds a training: its folder, its imports
        if not isinstance(error, KeyboardInterrupt):
            with suppress(OSError):
                traceback.print_exc()
        with suppress(OSError):
            _report(out, *_told(error))
    _flush()
    os._exit(1)  # the end of an interpreter waits for threads and libraries, maybe for ever
