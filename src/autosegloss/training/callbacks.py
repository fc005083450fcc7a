"""Lightning's hooks: stop a training that diverges, validate by steps, log, share batch normalisation between GPUs."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.plugins import TorchSyncBatchNorm
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from autosegloss.errors import DivergedError, whole_number
from autosegloss.files import whole_file


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

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.val_check_batch = sys.maxsize  # or a training that goes on would count a validation that is done

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        step = trainer.global_step
        due = step % self.steps == 0 and step > self.validated
        trainer.val_check_batch = 1 if due else sys.maxsize  # Lightning validates at the multiples of this batch
        self.validated = step if due else self.validated

    def state_dict(self) -> dict[str, int]:
        return {"validated": self.validated}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.validated = state_dict["validated"]


class LogFile(CSVLogger):
    """Lightning's CSVLogger; a training goes on if the file cannot be written, which one line on stderr tells."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._told = False

    @property
    def content(self) -> bytes:
        """The file as it is."""
        return self._path.read_bytes() if self._path.exists() else b""

    @rank_zero_only
    def begin_with(self, content: bytes) -> None:
        """Replace the file by `content`, its first part, which may be empty; without this an earlier file is lost."""
        self._path.unlink(missing_ok=True)  # Lightning warns of a folder that is not empty
        columns = next(csv.reader(content.decode().splitlines()), [])
        self.experiment.metrics_keys = columns
        if content:
            with whole_file(self._path) as draft:
                draft.write_bytes(content)

    @property
    def _path(self) -> Path:
        return Path(self.log_dir, "metrics.csv")

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
