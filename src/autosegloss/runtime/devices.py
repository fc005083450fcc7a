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
    def of(cls, trainer: Mapping[str, Any], gpus: int | None = None) -> Devices:
        """Read `accelerator` and `devices` as Lightning does; InputError for what cannot be had here."""
        import torch

        gpus = torch.cuda.device_count() if gpus is None else gpus
        accelerator, wanted = trainer.get("accelerator", "auto"), trainer.get("devices", 1)
        gpu = accelerator in ("gpu", "cuda") or (accelerator in ("auto", None) and gpus > 0)
        if gpu and not gpus:
            raise InputError(
                f"trainer.accelerator={accelerator}: there is no GPU here; leave out trainer=gpu, or set it to cpu"
            )
        if wanted in ("auto", -1, "-1"):
            return cls(gpus if gpu else 1, gpu)
        if (names := _names(wanted)) is not None:
            return cls(len(names), gpu, _numbers(names, gpus if gpu else 0))
        count = int(wanted) if str(wanted).isdecimal() else wanted
        if not is_whole(count, least=1):
            raise InputError(f"trainer.devices must be a whole number of 1 or more, a list or auto, got {wanted!r}")
        if gpu and count > gpus:
            raise InputError(f"trainer.devices={count} asks for more GPUs than the {gpus} here: set fewer")
        return cls(count, gpu)

    @contextmanager
    def leased(self, slots: int, wanted: Callable[[], bool] = lambda: True) -> Iterator[list[int] | int]:
        """The `devices` to train on: GPUs that nobody else has leased, after waiting for them if need be.

        `slots` trainings may share a GPU. CPUs, and GPUs that the config names, are not leased.
        """
        if not self.gpu or self.named:
            yield list(self.named) or self.count
            return
        if not is_whole(slots, least=1):
            raise InputError(f"trials_per_gpu must be a whole number of 1 or more, got {slots!r}")
        with Leases(visible_gpus(), slots).take(self.count, wanted) as gpus:
            yield gpus


def _names(wanted: Any) -> list[Any] | None:
    """What stands in a list of devices, None where `wanted` is none."""
    if isinstance(wanted, str):
        return [part.strip() for part in wanted.split(",") if part.strip()] if "," in wanted else None
    return list(wanted) if isinstance(wanted, Sequence) else None


def _numbers(names: Sequence[Any], gpus: int) -> tuple[int, ...]:
    """The numbers of GPUs that `names` stand for."""
    numbers = tuple(int(name) if str(name).isdecimal() else -1 for name in names)
    if not numbers or not set(numbers) <= set(range(gpus)) or len(set(numbers)) < len(numbers):
        here = f"numbers of GPUs, each once, from 0 to {gpus - 1}" if gpus else "a number: there are no GPUs to name"
        raise InputError(f"trainer.devices must be {here}, got {list(names)}")
    return numbers


_last: list[int] = []  # the GPUs that this process had before, whose memory is set up: it asks there first


class Leases:
    """GPUs of this machine by name, each to be held by `slots` trainings of this user at a time.

    A lease is a lock on a file: it ends with the process that holds it, however that ends.
    """

    def __init__(self, names: Sequence[str], slots: int = 1, folder: Path | None = None):
        self.names, self.slots = names, slots
        self.folder = folder or Path(tempfile.gettempdir(), f"autosegloss-{os.getuid()}")

    @contextmanager
    def take(self, count: int, wanted: Callable[[], bool] = lambda: True, pause: float = 0.5) -> Iterator[list[int]]:
        """`count` numbers of GPUs, for as long as the context lasts; waits until so many are free.

        Raises RunError as soon as nobody has `wanted` them any more, InputError for more than there are.
        """
        if count > len(self.names):
            raise InputError(f"{count} GPUs are asked for, there are {len(self.names)} here")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        chance = random.Random()  # of its own: that of the process may be seeded as that of others is
        while (held := self._try(count)) is None:
            if not wanted():
                raise RunError("the search that launched this run has ended")
            time.sleep(pause * chance.uniform(0.5, 1.5))  # who waits for several must not meet the same others again
        numbers, locks = held
        _last[:] = numbers
        with locks:
            yield numbers

    def _try(self, count: int) -> tuple[list[int], ExitStack] | None:
        with ExitStack() as locks:
            numbers = []
            for slot in range(self.slots):  # a second training goes to a GPU only when all have one
                for number in sorted(range(len(self.names)), key=lambda n: n not in _last):
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
        except OSError:
            file.close()
            raise
        return file


def visible_gpus() -> list[str]:
    """The GPUs this process may use, by names that are the same in all processes of this machine."""
    import torch

    count = torch.cuda.device_count()
    given = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    numbered = given if len(given) >= count else map(str, range(count))
    return [_identity(number, name) for number, name in zip(range(count), numbered, strict=False)]


def _identity(number: int, name: str) -> str:
    """The unique id of a GPU: schedulers show each job its own GPUs, numbered from 0."""
    import torch

    unique = getattr(torch.cuda.get_device_properties(number), "uuid", None)
    return f"gpu{name}" if unique is None or name.startswith("MIG") else f"gpu{unique}"
