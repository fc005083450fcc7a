"""The LightningModule: any network and any loss of (logits, labels), judged by the exact metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MetricCollection

from autosegloss.algebra.inputs import labels_are_classes
from autosegloss.losses import LossSchedule
from autosegloss.tasks import Task
from autosegloss.tasks.multiclass import Multiclass
from autosegloss.training.auxiliary import auxiliary_of
from autosegloss.training.evidence import ImageSums

MULTIPLE = 32  # encoders halve the image up to five times
_TOGETHER = 2**20  # pixels that are judged at once
_MULTICLASS = Multiclass()


class SegmentationModule(pl.LightningModule):
    """Trains `network` with `loss` and judges it with `metrics`, logged as val/NAME and test/NAME.

    `optimizer(network, max_steps)` returns the optimiser and its schedule per step. Batches are those of
    `SegmentationData`; images are padded to a multiple of 32 and the logits cropped back. Where labels have another
    size than their images, the logits are scaled to it before `task` makes labels of them. The labels are not checked
    here: the data module checks them once, and a check at every step would wait for the GPU. A network with an
    auxiliary head adds the loss of its logits in trainings, see `autosegloss.training.auxiliary`. The training loss is
    logged as "loss" if there is a logger or a progress bar. A LossSchedule in the loss learns the step from the
    Trainer. While `image_sums` is set, it collects the sums of every image that is judged.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        metrics: MetricCollection,
        optimizer: Callable[..., tuple[Optimizer, LRScheduler]],
        task: Task = _MULTICLASS,
    ):
        super().__init__()
        self.task = task
        self.network = network.to(memory_format=torch.channels_last)
        self.loss = loss
        self.val_metrics, self.test_metrics = metrics.clone(prefix="val/"), metrics.clone(prefix="test/")
        self.schedules = [part for part in loss.modules() if isinstance(part, LossSchedule)]
        self.optimizer = optimizer
        self.image_sums: ImageSums | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C, H, W) of images (N, B, H, W)."""
        return logits_of(self.network, images)

    def on_train_batch_start(self, *_: Any) -> None:
        for schedule in self.schedules:
            schedule.begin(self.trainer.global_step, self.trainer.max_steps)

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        logits, head = self(images), auxiliary_of(self.network)
        with labels_are_classes():
            loss = self.loss(logits, labels)
            if head is not None:
                loss = loss + head.weight * self.loss(at_images(head.take(), images), labels)
        if self.trainer.loggers or self.trainer.progress_bar_callback:  # a trial has neither
            self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Sequence[tuple[Tensor, Tensor]]) -> None:
        self._judge(self.val_metrics, batch)

    def test_step(self, batch: Sequence[tuple[Tensor, Tensor]]) -> None:
        self._judge(self.test_metrics, batch)

    def _judge(self, metrics: MetricCollection, batch: Sequence[tuple[Tensor, Tensor]]) -> None:
        with labels_are_classes():
            for images, labels in batch:
                few = max(1, _TOGETHER // labels[0].numel())  # logits of the size of large masks take much memory
                for logits, truth in zip(self(images).split(few), labels.split(few), strict=True):
                    found = predicted(logits, truth.shape[-2:], self.task)  # once for all metrics
                    metrics.update(found, truth)
                    if self.image_sums:
                        self.image_sums.update(found, truth)
        self.log_dict(metrics)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer, schedule = self.optimizer(self.network, max_steps=self.trainer.max_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def logits_of(network: nn.Module, images: Tensor) -> Tensor:
    """Logits (N, C, H, W) of images (N, B, H, W) of any size, which are padded to a multiple of 32 for the network.

    Logits of another size than the padded images, as of networks that leave the scaling to others, are scaled to it.
    """
    return at_images(network(padded(images)), images)


def at_images(logits: Tensor, images: Tensor) -> Tensor:
    """The logits (N, C, h, w) of padded images, scaled to their size and cropped to that of the images."""
    height, width = images.shape[2:]
    whole = height + -height % MULTIPLE, width + -width % MULTIPLE
    return scaled(logits, whole)[..., :height, :width]


def padded(images: Tensor) -> Tensor:
    """Images (N, B, H, W) as a network gets them: padded to a multiple of 32, in the layout channels last."""
    height, width = images.shape[2:]
    whole = F.pad(images, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
    return whole.contiguous(memory_format=torch.channels_last)


def scaled(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Logits (N, C, H, W) at `size` (H', W')."""
    if logits.shape[2:] == tuple(size):
        return logits
    return F.interpolate(logits.float(), tuple(size), mode="bilinear", align_corners=False)


def predicted(logits: Tensor, size: Sequence[int], task: Task = _MULTICLASS) -> Tensor:
    """The labels of a task of logits (N, C, H, W), which are scaled to `size` (H', W') if theirs is another."""
    return task.predicted(scaled(logits, size))
