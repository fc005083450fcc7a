"""What runs of the tests do beside training; workers find this module through PYTHONPATH."""

import os
import signal
from pathlib import Path

import pytorch_lightning as pl

from autosegloss.data.memory import decode
from autosegloss.training import weights


class Tell(pl.Callback):
    """Prints the process, and how often it has decoded a split and loaded weights."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        print(os.getpid(), decode.cache_info().misses, weights._read.cache_info().misses)


def no_memory(**_: object) -> None:
    """In the place of a trainer."""
    raise MemoryError("all in use")


class Fail(pl.Callback):
    """Raises, after the first step."""

    def on_train_batch_end(self, *_: object) -> None:
        raise ValueError("not my\nday")


class Die(pl.Callback):
    """Ends the process of one rank as the system does when memory runs out, after the first step."""

    def __init__(self, rank: int):
        self.rank = rank

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_rank == self.rank:
            os.kill(os.getpid(), signal.SIGKILL)


class Interrupt(pl.Callback):
    """A terminal's Ctrl-C, which goes to process `process`, after the first step."""

    def __init__(self, process: int):
        self.process = process

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.is_global_zero and trainer.global_step == 1:
            os.kill(self.process, signal.SIGINT)


class Signal(pl.Callback):
    """A signal of the system, which goes to this process after the first step, or the first batch that is judged."""

    def __init__(self, name: str, judging: bool = False):
        self.number, self.judging = getattr(signal, name), judging

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == 1 and not self.judging:
            os.kill(os.getpid(), self.number)

    def on_validation_batch_end(self, *_: object) -> None:
        if self.judging:
            os.kill(os.getpid(), self.number)


class Break(pl.Callback):
    """Ends the training with an error after a step, once: it leaves the file `marker`, with which it lets pass."""

    def __init__(self, step: int, marker: str):
        self.step, self.marker = step, Path(marker)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.step and not self.marker.exists():
            trainer.strategy.barrier()
            self.marker.touch()
            raise MemoryError("on purpose")


class Starts(pl.Callback):
    """Notes the step at which each training begins, a line each."""

    def __init__(self, file: str):
        self.file = Path(file)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        with self.file.open("a") as file:
            file.write(f"{trainer.global_step}\n")
