"""What watches over a training."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.plugins import TorchSyncBatchNorm
from torch import nn

from autosegloss.errors import DivergedError, whole_number


class StopIfDiverged(pl.Callback):
    """Ends a training whose loss is not finite with a DivergedError.

    Looks at every loss on the CPU, and at every `every_n_steps`-th elsewhere, where a look stops the device's queue.
    """

    def __init__(self, every_n_steps: int = 10):
        self.every_n_steps = whole_number("every_n_steps", every_n_steps, least=1)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        loss = outputs["loss"]
        due = loss.device.type == "cpu" or trainer.global_step % self.every_n_steps == 0
        if due and not loss.isfinite():
            raise DivergedError(f"the training diverged: its loss is {loss.item()} after {trainer.global_step} steps")


class SyncOnGPU(TorchSyncBatchNorm):
    """Batch normalisation over the batches of all GPUs of a distributed training; torch has none for CPUs."""

    def apply(self, model: pl.LightningModule) -> nn.Module:
        # the model is moved to its device after this
        return super().apply(model) if model.trainer.strategy.root_device.type == "cuda" else model
