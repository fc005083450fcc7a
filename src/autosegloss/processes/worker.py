"""One process of a crew: reads what to train from stdin, a JSON line each, until it closes.

python -m autosegloss.processes.worker FD      reports go to the file descriptor FD
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from typing import Any, TextIO


def main(reports: TextIO) -> None:
    """Train one request after the other, and report each."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background makes us deaf to it
    requests = _requests()
    _redirect(requests.get()["log"])
    from autosegloss.processes._train import train  # the heavy imports, and their errors, go to the log

    _report(reports, "ready")
    while True:
        request = requests.get()
        if "log" in request:
            _redirect(request["log"])
        else:
            _report(reports, *train(request["config"], request["directory"]))
            sys.stdout.flush()
            sys.stderr.flush()


def _requests() -> queue.SimpleQueue[dict[str, Any]]:
    """What comes in; a thread of its own sees the pipe close, and with it the process that wants our work."""
    incoming: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            incoming.put(json.loads(line))
        os.killpg(0, signal.SIGKILL)  # the workers of our data loaders, too

    threading.Thread(target=read, daemon=True).start()
    return incoming


def _redirect(path: str | None) -> None:
    if path is not None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.close(log)


def _report(reports: TextIO, status: str, message: str = "") -> None:
    reports.write(json.dumps([status, message[:2000]]) + "\n")
    reports.flush()


if __name__ == "__main__":
    os.set_inheritable(int(sys.argv[1]), False)
    try:
        main(os.fdopen(int(sys.argv[1]), "w", encoding="utf-8"))
    except BaseException:
        traceback.print_exc()
        raise SystemExit(1) from None
