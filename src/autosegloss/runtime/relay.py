"""Signals of a cluster, which go to the first process of a job alone, handed on to the process that trains."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_NUMBERS = [getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)]


@contextmanager
def relayed(send: Callable[[int], None]) -> Iterator[set[int]]:
    """Within it SIGTERM and SIGUSR1 are sent on, where the user has no handler; yields the set of those that came.

    Outside the main thread it does nothing.
    """
    came: set[int] = set()
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def relay(number: int, frame: FrameType | None) -> None:
        came.add(number)
        send(number)

    before = {number: signal.getsignal(number) for number in _NUMBERS}
    ours = [number for number, handler in before.items() if handler in (signal.SIG_DFL, signal.SIG_IGN)]
    for number in ours:
        signal.signal(number, relay)
    try:
        yield came
    finally:
        for number in ours:
            signal.signal(number, before[number])
