"""Lightning's hooks: stop a training that diverges, share batch normalisation between GPUs."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
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


class SyncOnGPU(TorchSyncBatchNorm):
    """Batch normalisation over the batches of all GPUs of a distributed training; torch offers it for GPUs only."""

    def apply(self, model: nn.Module) -> nn.Module:
        assert isinstance(model, pl.LightningModule)  # Lightning declares less than it gives
        # Lightning moves the model to its device later: the device of its weights says nothing yet
        return super().apply(model) if model.trainer.strategy.root_device.type == "cuda" else model
