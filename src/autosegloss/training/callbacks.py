"""Lightning's hooks: stop a training that diverges, validate by steps, log, share batch normalisation between GPUs."""

from __future__ import annotations

import sys
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.plugins import TorchSyncBatchNorm
from torch import nn

from autosegloss.errors import DivergedError, whole_number


class StopIfDiverged(pl.Callback):
    """Raises DivergedError during a training whose loss is not finite.

    On the CPU it checks every loss. On another device it checks the loss at every `every_n_steps`-th step, because the
    check waits for the device. Raises InputError unless every_n_steps is an integer of 1 or more.
    """

    def __init__(self, every_n_steps: int = 10):
        self.every_n_steps = whole_number("every_n_steps", every_n_steps, least=1)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        loss = outputs["loss"]
        due = loss.device.type == "cpu" or trainer.global_step % self.every_n_steps == 0
        if due and not loss.isfinite():
            raise DivergedError(f"the training diverged: its loss is {loss.item()} after {trainer.global_step} steps")


class ValidateEvery(pl.Callback):
    """Validates after every `steps` steps; Lightning by itself counts batches, of which a step may take several."""

    def __init__(self, steps: int):
        self.steps, self.validated = steps, 0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        step = trainer.global_step
        due = step % self.steps == 0 and step > self.validated
        trainer.val_check_batch = 1 if due else sys.maxsize  # Lightning validates at the multiples of this batch
        self.validated = step if due else self.validated


class LogFile(CSVLogger):
    """Lightning's CSVLogger; a training goes on if the file cannot be written, which one line on stderr tells."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._told = False

    def save(self) -> None:
        """Write what has been logged since the last time; what cannot be written is tried again the next time."""
        try:
            super().save()
        except OSError as error:
            if not self._told:
                print(
                    f"note: {self.log_dir} cannot be written ({error.strerror}): the log stays unfinished",
                    file=sys.stderr,
                )
            self._told = True


class SyncOnGPU(TorchSyncBatchNorm):
    """Batch normalisation over the batches of all GPUs of a distributed training; torch offers it for GPUs only."""

    def apply(self, model: nn.Module) -> nn.Module:
        assert isinstance(model, pl.LightningModule)  # Lightning declares less than it gives
        # Lightning moves the model to its device later: the device of its weights says nothing yet
        return super().apply(model) if model.trainer.strategy.root_device.type == "cuda" else model
