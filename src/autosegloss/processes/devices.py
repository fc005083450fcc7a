"""Which devices a training gets: GPUs are leased, so that trainings side by side share none by accident."""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from autosegloss.errors import InputError, RunError, is_whole


class Devices(NamedTuple):
    """What a trainer's config asks for: `count` devices, one process each; GPUs by number where it names them."""

    count: int
    gpu: bool
    named: tuple[int, ...] = ()

    @classmethod
    def of(cls, trainer: Mapping[str, Any], gpus: Sequence[str] | None = None) -> Devices:
        """Read `accelerator` and `devices` as Lightning does; InputError for more GPUs than there are."""
        gpus = visible_gpus() if gpus is None else gpus
        accelerator, wanted = trainer.get("accelerator", "auto"), trainer.get("devices", 1)
        gpu = accelerator in ("gpu", "cuda") or (accelerator == "auto" and bool(gpus))
        if wanted in ("auto", -1, "-1"):
            return cls(max(1, len(gpus)) if gpu else 1, gpu)
        if isinstance(wanted, str) and "," in wanted:
            wanted = [int(part) for part in wanted.split(",") if part.strip()]
        if isinstance(wanted, Sequence) and not isinstance(wanted, str):
            return cls(len(wanted), gpu, tuple(wanted))
        count = int(wanted) if str(wanted).isdigit() else wanted
        if not is_whole(count, least=1):
            raise InputError(f"trainer.devices must be a whole number of 1 or more, a list or auto, got {wanted!r}")
        if gpu and count > len(gpus):
            raise InputError(f"trainer.devices={count} asks for more GPUs than the {len(gpus)} here: set fewer")
        return cls(count, gpu)

    @contextmanager
    def leased(self, slots: int, wanted: Callable[[], bool] = lambda: True) -> Iterator[list[int] | int]:
        """The `devices` to train on: GPUs that nobody else has leased, after waiting for them if need be.

        `slots` trainings may share a GPU. CPUs, and GPUs that the config names, are not leased.
        """
        if not self.gpu or self.named:
            yield list(self.named) or self.count
            return
        with Leases(visible_gpus(), slots).take(self.count, wanted) as gpus:
            yield gpus


class Leases:
    """GPUs of this machine by name, each to be held by `slots` trainings of this user at a time.

    A lease is a lock on a file: it ends with the process that holds it, however that ends.
    """

    _last: list[int] = []  # noqa: RUF012 - what this process had before, whose memory is set up: it asks there first

    def __init__(self, names: Sequence[str], slots: int = 1, folder: Path | None = None):
        self.names, self.slots = names, slots
        self.folder = folder or Path(tempfile.gettempdir(), f"autosegloss-{os.getuid()}")

    @contextmanager
    def take(self, count: int, wanted: Callable[[], bool] = lambda: True, pause: float = 0.5) -> Iterator[list[int]]:
        """`count` numbers of GPUs, for as long as the context lasts; waits until so many are free.

        Raises RunError as soon as nobody has `wanted` them any more.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        while (held := self._try(count)) is None:
            if not wanted():
                raise RunError("the search that launched this run has ended")
            time.sleep(
                pause * random.uniform(0.5, 1.5)
            )  # whoever waits for several must not meet the same others again
        numbers, locks = held
        Leases._last = numbers
        with locks:
            yield numbers

    def _try(self, count: int) -> tuple[list[int], ExitStack] | None:
        with ExitStack() as locks:
            numbers = []
            for slot in range(self.slots):  # a second training goes to a GPU only when all have one
                for number in sorted(range(len(self.names)), key=lambda n: n not in Leases._last):
                    if len(numbers) < count and number not in numbers and (lock := self._lock(number, slot)):
                        locks.enter_context(lock)
                        numbers.append(number)
            return (sorted(numbers), locks.pop_all()) if len(numbers) == count else None

    def _lock(self, number: int, slot: int) -> TextIO | None:
        file = (self.folder / f"{self.names[number].replace('/', '_')}.{slot}").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file


def visible_gpus() -> list[str]:
    """The GPUs this process may use, by the names that the whole machine knows them by."""
    import torch

    count = torch.cuda.device_count()
    names = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return [f"gpu{name}" for name in (names if len(names) >= count else map(str, range(count)))][:count]
