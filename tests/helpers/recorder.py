"""Records what happens in a training, for tests: `+callbacks.recorder={_target_: helpers.recorder.Recorder}`."""

from __future__ import annotations

import pytorch_lightning as pl
import torch


def state(module: pl.LightningModule) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.network.state_dict().items()}


class Recorder(pl.Callback):
    """The rates, losses in force and weights of every step, and the weights that are validated."""

    last: Recorder

    def __init__(self):
        type(self).last = self
        self.rates, self.losses, self.weights, self.validated = [], [], [], []

    def on_train_start(self, trainer, pl_module):
        self.trainer = trainer
        self.weights.append(state(pl_module))

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])
        self.losses.append(type(getattr(pl_module.loss, "current", pl_module.loss)).__name__)
        self.weights.append(state(pl_module))

    def on_validation_batch_start(self, trainer, pl_module, *_):
        self.validated.append(state(pl_module))
