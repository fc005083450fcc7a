"""One process of a crew: reads what to do from stdin, a pickle each, until that closes.

python -m autosegloss.runtime.worker FD      reports go to the file descriptor FD
"""

from __future__ import annotations

import io
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

from autosegloss.training.outcome import Checked, Failure, Outcome


def main(reports: BinaryIO) -> NoReturn:
    """Run one request after the other, and report the outcome of each."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell's children ignore SIGINT
    console = [os.dup(1), os.dup(2)]
    requests = _requests()
    _settle(console, **requests.get())
    from autosegloss.training.run import run  # the heavy imports come here so that their errors go to the log

    _report(reports, None)
    while True:
        request = requests.get()
        if "log" in request:
            _settle(console, **request)
        else:
            outcome = _checked(**request) if "runs" in request else run(**request)
            _flush()  # the log is to be whole when the report arrives
            _report(reports, outcome)


def _checked(**request: Any) -> Checked | Failure:
    from autosegloss.training.check import check_runs

    return check_runs(**request)


def _requests() -> queue.SimpleQueue[dict[str, Any]]:
    """A queue of what arrives on stdin; a thread fills it, and ends this process group when the pipe closes."""
    incoming: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    source = os.fdopen(os.dup(0), "rb")  # ours alone: a training and its child processes read an empty stdin
    _point([0], os.open(os.devnull, os.O_RDONLY))

    def read() -> None:
        try:
            while True:
                incoming.put(pickle.load(source))
        finally:
            os.killpg(0, signal.SIGKILL)  # the workers of data loaders, too

    threading.Thread(target=read, daemon=True).start()
    return incoming


def _settle(console: Sequence[int], log: str | None, cwd: str, path: Sequence[str]) -> None:
    """Write to `log` (None: to the console); take over the working folder and module path of the crew's owner."""
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


def _report(reports: BinaryIO, outcome: Outcome | Checked | None) -> None:
    """None: the imports are done."""
    pickle.dump(outcome, reports)
    reports.flush()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # the disk is full
            stream.flush()


if __name__ == "__main__":
    os.set_inheritable(int(sys.argv[1]), False)
    out = os.fdopen(int(sys.argv[1]), "wb")
    os.register_at_fork(after_in_child=out.close)  # the pipe closes with this process, even if a child lives on
    for text in (sys.stdout, sys.stderr):
        assert isinstance(text, io.TextIOWrapper)
        text.reconfigure(line_buffering=True)  # the log keeps the last lines before a sudden end
    try:
        main(out)
    except KeyboardInterrupt:
        with suppress(OSError):
            _report(out, Failure("interrupted", ""))
    except BaseException as error:  # outside of `run`: in making the log, or in the imports
        with suppress(OSError):
            traceback.print_exc()
        with suppress(OSError):
            _report(out, Failure.unexpected(error))
    _flush()
    os._exit(1)  # a normal exit waits for threads and libraries, maybe for ever
