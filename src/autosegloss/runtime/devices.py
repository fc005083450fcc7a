"""The devices of a run: GPUs are leased, so that runs side by side share a GPU only by intention."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from autosegloss.errors import InputError, RunError, is_whole
from autosegloss.training.outcome import DISOWNED


@dataclass(frozen=True)
class Devices:
    """The devices in a trainer's config: `count` of them, one process each; named: numbers of GPUs, if it has them."""

    count: int
    gpu: bool
    named: tuple[int, ...] = ()

    @classmethod
    def of(cls, trainer: Mapping[str, Any], gpus: int | None = None) -> Devices:
        """Read `accelerator` and `devices` as Lightning does, without its import, which takes longer than torch's.

        gpus: of this machine; None counts them. Raises InputError for other values and for more GPUs than there are.
        """
        import torch

        gpus = torch.cuda.device_count() if gpus is None else gpus
        accelerator, given = trainer.get("accelerator", "auto"), trainer.get("devices", 1)
        gpu = accelerator in ("gpu", "cuda") or (accelerator in ("auto", None) and gpus > 0)
        if gpu and not gpus:
            raise InputError(
                f"trainer.accelerator={accelerator}: there is no GPU here; leave out trainer=gpu, or set it to cpu"
            )
        if given in ("auto", -1, "-1"):
            return cls(gpus if gpu else 1, gpu)
        if (names := _names(given)) is not None:
            return cls(len(names), gpu, _numbers(names, gpus if gpu else 0))
        count = int(given) if str(given).isdecimal() else given
        if not is_whole(count, least=1):
            raise InputError(f"trainer.devices must be a whole number of 1 or more, a list or auto, got {given!r}")
        if gpu and count > gpus:
            raise InputError(f"trainer.devices={count} asks for more GPUs than the {gpus} here: set fewer")
        return cls(count, gpu)

    @contextmanager
    def leased(self, slots: int, is_alive: Callable[[], bool] = lambda: True) -> Iterator[list[int] | int]:
        """The `devices` to train on, leased for as long as the context lasts; waits until enough GPUs are free.

        slots: runs that may share a GPU. CPUs, and GPUs that the config names, are not leased. Raises InputError for
        wrong slots, RunError as soon as the search that launched the run is not alive any more.
        """
        if not self.gpu or self.named:
            yield list(self.named) or self.count
            return
        if not is_whole(slots, least=1):
            raise InputError(f"trials_per_gpu must be a whole number of 1 or more, got {slots!r}")
        with Leases(visible_gpus(), slots).take(self.count, is_alive) as gpus:
            yield gpus


def _names(given: Any) -> list[Any] | None:
    """The entries of a list of devices; None if `given` is not a list."""
    if isinstance(given, str):
        return [part.strip() for part in given.split(",") if part.strip()] if "," in given else None
    return list(given) if isinstance(given, Sequence) else None


def _numbers(names: Sequence[Any], gpus: int) -> tuple[int, ...]:
    """The GPUs that `names` stand for, by number; InputError if there are no such GPUs."""
    numbers = tuple(int(name) if str(name).isdecimal() else -1 for name in names)
    if not numbers or not set(numbers) <= set(range(gpus)) or len(set(numbers)) < len(numbers):
        here = f"numbers of GPUs, each once, from 0 to {gpus - 1}" if gpus else "a number: there are no GPUs to name"
        raise InputError(f"trainer.devices must be {here}, got {list(names)}")
    return numbers


recent: list[int] = []  # the GPUs that this process leased last: their memory is set up, so it prefers them


class Leases:
    """GPUs of this machine by name, each for `slots` runs of this user at a time.

    A lease is a lock on a file in `folder`: it ends with the process that holds it, even if that is killed.
    """

    def __init__(self, names: Sequence[str], slots: int = 1, folder: Path | None = None):
        self.names, self.slots = names, slots
        self.folder = folder or Path(tempfile.gettempdir(), f"autosegloss-{os.getuid()}")

    @contextmanager
    def take(self, count: int, is_alive: Callable[[], bool] = lambda: True, pause: float = 0.5) -> Iterator[list[int]]:
        """The numbers of `count` GPUs, for as long as the context lasts; waits until so many are free.

        Raises RunError as soon as the search is not alive any more, InputError for more GPUs than there are.
        """
        if count > len(self.names):
            raise InputError(f"{count} GPUs are asked for, there are {len(self.names)} here")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        chance = random.Random()  # other processes may have seeded theirs as this one has
        while (held := self._try(count)) is None:
            if not is_alive():
                raise RunError(DISOWNED.message)
            time.sleep(pause * chance.uniform(0.5, 1.5))  # two that wait must not collide for ever
        numbers, locks = held
        recent[:] = numbers
        with locks:
            yield numbers

    def _try(self, count: int) -> tuple[list[int], ExitStack] | None:
        with ExitStack() as locks:
            numbers: list[int] = []
            for slot in range(self.slots):  # a GPU gets a second run only when all have one
                for number in sorted(range(len(self.names)), key=lambda n: n not in recent):
                    if len(numbers) < count and number not in numbers and self._lock(number, slot, locks):
                        numbers.append(number)
            return (sorted(numbers), locks.pop_all()) if len(numbers) == count else None

    def _lock(self, number: int, slot: int, locks: ExitStack) -> bool:
        """Enter the lock of a slot into `locks`; False if another run holds it."""
        try:
            name = f"{self.names[number].replace('/', '_')}.{slot}"
            locks.enter_context(FileLock(self.folder / name).acquire(blocking=False))
        except Timeout:
            return False
        return True


def visible_gpus() -> list[str]:
    """The GPUs of this process, by names that are the same in all processes of this machine."""
    import torch

    count = torch.cuda.device_count()
    given = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    numbered = given if len(given) >= count else map(str, range(count))
    return [_identity(number, name) for number, name in zip(range(count), numbered, strict=False)]


def _identity(number: int, name: str) -> str:
    """The unique id of a GPU; its number is not unique, because a scheduler numbers the GPUs of each job from 0."""
    import torch

    unique = getattr(torch.cuda.get_device_properties(number), "uuid", None)
    return f"gpu{name}" if unique is None or name.startswith("MIG") else f"gpu{unique}"
