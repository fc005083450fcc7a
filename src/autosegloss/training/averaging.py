"""Averaged weights: validations, the result and weights.pt are those of the moving average, not of the last step."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EMAWeightAveraging
from pytorch_lightning.trainer.states import TrainerFn

from autosegloss.errors import InputError, is_number


class AverageWeights(EMAWeightAveraging):
    """Keeps w_avg = decay * w_avg + (1 - decay) * w after each step, from the weights after the first step on.

    Statistics of batch normalisation are averaged likewise. The average takes the place of the weights in validations,
    at the end of the training, and where it is interrupted. Checkpoints hold both.

    Args:
        decay: a number between 0 and 1; 0.999 averages over the last thousand steps.

    Raises:
        InputError: for another decay.
    """

    def __init__(self, decay: float):
        if not is_number(decay) or not 0 < decay < 1:
            raise InputError(f"ema must be a number between 0 and 1, e.g. 0.999, or null, got {decay!r}")
        super().__init__(decay=decay)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:  # after the training the module has the weights to judge
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_validation_epoch_end(trainer, pl_module)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave the average in the module; within a validation it is there already."""
        if trainer.training and self._average_model is not None:
            self._copy_average_to_current(pl_module)
