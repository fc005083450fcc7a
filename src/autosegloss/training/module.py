"""The LightningModule: any network and any loss of (logits, labels), judged by the exact metrics."""

from __future__ import annotations

from collections.abc import Callable

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MetricCollection

from autosegloss.algebra.inputs import labels_are_classes

_MULTIPLE = 32  # encoders halve the image up to five times


class SegmentationModule(pl.LightningModule):
    """Trains `network` with `loss` and judges it with `metrics`, logged as val/NAME and test/NAME.

    `optimizer(network, max_steps)` returns the optimiser and its schedule per step. Batches are images (N, B, H, W) and
    labels (N, H, W) of any size; images are padded to a multiple of 32 and the logits cropped back. The labels are not
    checked here: the data module checks them once, and a check at every step would wait for the GPU. The training loss
    is logged as "loss" if there is a logger or a progress bar.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        metrics: MetricCollection,
        optimizer: Callable[..., tuple[Optimizer, LRScheduler]],
    ):
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.loss = loss
        self.val_metrics, self.test_metrics = metrics.clone(prefix="val/"), metrics.clone(prefix="test/")
        self.optimizer = optimizer

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C, H, W) of images (N, B, H, W)."""
        height, width = images.shape[2:]
        padded = F.pad(images, (0, -width % _MULTIPLE, 0, -height % _MULTIPLE))
        return self.network(padded.contiguous(memory_format=torch.channels_last))[..., :height, :width]

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        with labels_are_classes():
            loss = self.loss(self(images), labels)
        if self.trainer.loggers or self.trainer.progress_bar_callback:  # a trial has neither
            self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self._judge(self.val_metrics, batch)

    def test_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self._judge(self.test_metrics, batch)

    def _judge(self, metrics: MetricCollection, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        with labels_are_classes():
            metrics.update(self(images).argmax(dim=1), labels)  # one argmax for all metrics
        self.log_dict(metrics)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer, schedule = self.optimizer(self.network, max_steps=self.trainer.max_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
