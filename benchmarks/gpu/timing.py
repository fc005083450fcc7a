"""Times of functions that run on a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def milliseconds(run: Callable[[], object], device: torch.device) -> float:
    """The time of one call: between two events of the GPU around it, or of the clock on a CPU."""
    if device.type != "cuda":
        start = time.perf_counter()
        run()
        return 1000 * (time.perf_counter() - start)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def in_turn(runs: dict[str, Callable[[], object]], device: torch.device, rounds: int, warm: int = 3) -> dict[str, list]:
    """The times in ms of functions that take turns, `rounds` each, after some rounds to warm up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(warm + rounds):
        for name, run in runs.items():
            taken = milliseconds(run, device)
            if number >= warm:
                times[name].append(taken)
    return times
