"""The kernels of a call, from torch's profiler."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile


class Kernel(NamedTuple):
    """A kernel, or a copy within the device, by name."""

    name: str
    microseconds: float
    calls: int


def kernels(run: Callable[[], object], device: torch.device) -> list[Kernel]:
    """What one call runs on the device, that with the highest total time first; on a CPU its operations."""
    cuda = device.type == "cuda"
    run()
    _wait(cuda)
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as profiler:
        run()
        _wait(cuda)
    total: dict[str, list[float]] = defaultdict(list)
    for event in profiler.events():
        if event.device_type == (DeviceType.CUDA if cuda else DeviceType.CPU):
            total[event.name].append(event.time_range.elapsed_us())
    return sorted((Kernel(name, sum(t), len(t)) for name, t in total.items()), key=lambda k: -k.microseconds)


def _wait(cuda: bool) -> None:
    if cuda:
        torch.cuda.synchronize()
