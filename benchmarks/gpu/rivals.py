"""The losses whose cost is measured: ours, cross-entropy, and those of libraries."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from autosegloss import SurrogateLoss
from autosegloss.algebra.inputs import labels_are_classes
from gpu.scenes import random_batch

BASE = "cross-entropy"
IGNORE = 255

Loss = Callable[[Tensor, Tensor], Tensor]
Step = Callable[[], tuple[Tensor, Tensor]]


class Scene:
    """A batch on the device, as a training has it; under bfloat16 the losses run in autocast."""

    def __init__(self, shape: tuple[int, ...], dtype: str, device: torch.device):
        self.shape, self.dtype, self.device = shape, dtype, device
        logits, labels = random_batch(shape, 0.05, seed=0, ignore=IGNORE)
        self.logits = logits.to(device, getattr(torch, dtype)).requires_grad_()
        self.labels = labels.to(device)

    @property
    def described(self) -> dict:
        return {"shape": str(self.shape), "dtype": self.dtype}

    def step(self, loss: Loss) -> Step:
        """Forward and backward of a loss: its value and gradient."""

        def run() -> tuple[Tensor, Tensor]:
            half = self.dtype != "float32"
            with labels_are_classes(), torch.autocast(self.device.type, torch.bfloat16, enabled=half):
                value = loss(self.logits, self.labels)
            return value, torch.autograd.grad(value, self.logits)[0]

        return run


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, ignore_index=IGNORE)


def released(metric: str, device: torch.device) -> SurrogateLoss:
    return SurrogateLoss.from_pretrained(metric, ignore_index=IGNORE).to(device)


def dense(metric: str, device: torch.device) -> Loss:
    """The formula on dense maps, by autograd, as it is written."""
    loss = released(metric, device)
    return lambda logits, labels: 1 - loss.formula.score(loss.dense_statistics(logits, labels), loss.classes)


def smp_dice() -> Loss:
    from segmentation_models_pytorch.losses import DiceLoss

    return DiceLoss("multiclass", ignore_index=IGNORE)


def smp_lovasz() -> Loss:
    from segmentation_models_pytorch.losses import LovaszLoss

    return LovaszLoss("multiclass", ignore_index=IGNORE)


def kornia_dice() -> Loss:
    from kornia.losses import DiceLoss

    return DiceLoss(average="macro", ignore_index=IGNORE)


LIBRARIES: dict[str, Callable[[], Loss]] = {
    "Dice of smp": smp_dice,
    "Dice of kornia": kornia_dice,
    "Lovász of smp": smp_lovasz,
}
