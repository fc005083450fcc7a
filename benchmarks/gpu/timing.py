"""Times of functions that run on a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from signal import ITIMER_REAL, SIGALRM, setitimer, signal
from typing import Any

import torch


def milliseconds(run: Callable[[], object], device: torch.device) -> float:
    """The time of one call: between two events of the GPU around it, or of the clock on a CPU."""
    if device.type != "cuda":
        start = time.perf_counter()
        run()
        return 1000 * (time.perf_counter() - start)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def in_turn(
    runs: Mapping[str, Callable[[], object]], device: torch.device, rounds: int = 20, most: float = 1200, warm: int = 3
) -> dict[str, list[float]]:
    """The times in ms of functions that take turns.

    First they warm up for `warm` rounds, or half of `most` ms; then there are `rounds`, or as many as fit into `most`
    ms, at least 3.
    """
    spent = 0.0
    for _ in range(warm):
        last = sum(milliseconds(run, device) for run in runs.values())
        spent += last
        if spent > most / 2:
            break
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(max(3, min(rounds, int(most / last)))):
        for name, run in runs.items():
            times[name].append(milliseconds(run, device))
    return times


def peak_megabytes(run: Callable[[], object], device: torch.device) -> float | None:
    """The most memory that a call takes beyond what is allocated before it; None on a CPU."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread if the block takes longer."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"stopped after {seconds:g} s")

    before = signal(SIGALRM, stop)
    setitimer(ITIMER_REAL, seconds)
    try:
        yield
    finally:
        setitimer(ITIMER_REAL, 0)
        signal(SIGALRM, before)
