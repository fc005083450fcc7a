"""Losses of torch and segmentation-models-pytorch, made to obey the laws of this package."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from autosegloss.algebra.checks import check_ignore_index, check_tensors
from autosegloss.algebra.inputs import full_precision, is_class
from autosegloss.losses.pixels import exclusive_task, masked
from autosegloss.tasks import Task


class LibraryLoss(nn.Module):
    """A loss of a library, protected from inputs that it does not handle.

    If all pixels are ignored, the libraries' losses return nan (cross-entropy, focal) or no scalar (Lovász). They also
    propagate nan from ignored logits into the gradient, and compute in half precision. The values of other batches do
    not change. If the ignored label is the id of a class, its pixels are left out, and the library decides what its
    channel is at the others.

    Args:
        loss: makes the loss when called with `ignore_index=...`.
        ignore_index: the label of pixels to ignore; None counts all pixels.
        task: what the loss takes its logits and labels for.

    Example:
        >>> import torch
        >>> from autosegloss.losses import LibraryLoss
        >>> loss = LibraryLoss(torch.nn.CrossEntropyLoss)
        >>> loss(torch.zeros(1, 2, 4, 4), torch.ones(1, 4, 4, dtype=torch.long))
        tensor(0.6931)
    """

    def __init__(self, loss: Callable[..., nn.Module], ignore_index: int | None = 255, task: str | Task = "multiclass"):
        super().__init__()
        self.ignore_index, self.task = check_ignore_index(ignore_index), Task.resolve(task)
        self.loss = loss() if ignore_index is None else loss(ignore_index=ignore_index)  # torch rejects None

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        check_tensors(logits, labels)
        with full_precision(logits.device):
            logits, valid = masked(logits, labels, self.ignore_index, self.task)
            # If all pixels are ignored, the labels are of a class and the loss is multiplied by 0: to branch on this
            # would wait for a GPU.
            some, a_class = valid.any(), int(self.ignore_index == 0)
            return self.loss(logits, labels.long().where(some, a_class)) * some


class ClassMeanLoss(LibraryLoss):
    """A loss of a library that is the mean over all C classes, where absent ones add 0.

    If the ignored label is the id of a class, the mean is that of the others.
    """

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        mean = super().forward(logits, labels)
        channels, left_out = logits.shape[1], self.task.left_out(self.ignore_index)
        return mean * (channels / (channels - 1)) if is_class(left_out, channels) else mean


class FocalLoss(LibraryLoss):
    """A focal loss of a library that takes one label a pixel, as that of segmentation-models-pytorch.

    Raises:
        InputError: for task="multilabel".
    """

    def __init__(self, loss: Callable[..., nn.Module], ignore_index: int | None = 255, task: str | Task = "multiclass"):
        super().__init__(loss, ignore_index, exclusive_task("focal", task))


class SinglePrecisionLoss(LibraryLoss):
    """A loss of a library that computes in float32 only, also of float64 logits."""

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        check_tensors(logits, labels)
        return super().forward(logits.float() if logits.is_floating_point() else logits, labels)
