"""A frozen encoder: the head learns alone, for some steps or for all."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from torch import nn
from torch.optim import Optimizer

from autosegloss.errors import InputError, is_whole
from autosegloss.training.optimizers import encoder_of


class FreezeEncoder(pl.Callback):
    """Keeps the weights of network.encoder, and the statistics of its batch normalisation, for the first steps.

    The encoder is in its mode of evaluation until then. Frozen for some steps it costs as much as one that learns: its
    gradients are computed, because processes that train together expect them, and dropped. Frozen for all steps it
    costs less.

    Args:
        steps: their number, or "all".

    Raises:
        InputError: for other steps; when the training begins, for a network without an encoder.
    """

    def __init__(self, steps: int | str):
        if steps != "all" and not is_whole(steps, least=1):
            raise InputError(f"freeze_encoder must be a number of steps, all, or null, got {steps!r}")
        self.steps = steps

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        encoder = _encoder(pl_module)
        if stage == "fit" and self.steps == "all":
            encoder.requires_grad_(False)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        encoder, learns = _encoder(pl_module), not self._holds(trainer)
        if encoder.training != learns:
            encoder.train(learns)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        if self._holds(trainer):
            for parameter in _encoder(pl_module).parameters():
                parameter.grad = None  # an optimiser passes over it, weight decay and momentum included

    def _holds(self, trainer: pl.Trainer) -> bool:
        return not isinstance(self.steps, int) or trainer.global_step < self.steps


def _encoder(module: pl.LightningModule) -> nn.Module:
    network = module.network
    assert isinstance(network, nn.Module)  # of a SegmentationModule
    if (encoder := encoder_of(network)) is None:
        raise InputError(
            "freeze_encoder needs a network with an `encoder` or a `backbone`, this has neither: leave it out"
        )
    return encoder
