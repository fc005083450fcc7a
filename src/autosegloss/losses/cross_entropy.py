"""Cross-entropy of any task."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosegloss.algebra.activations import SIGMOID, SOFTMAX, Activation
from autosegloss.losses.library import LibraryLoss
from autosegloss.losses.pixels import mean
from autosegloss.tasks import Task


class CrossEntropy(LibraryLoss):
    """Mean over the valid pixels of -log p_y; of a foreground, or of classes that do not exclude each other, binary.

    Args:
        ignore_index: the label of pixels to ignore; None counts all pixels.
        task: "multiclass", "binary" or "multilabel", or an object of `autosegloss.tasks`.

    Example:
        >>> import torch
        >>> from autosegloss.losses import CrossEntropy
        >>> CrossEntropy(task="binary")(torch.zeros(1, 1, 4, 4), torch.ones(1, 4, 4, dtype=torch.long))
        tensor(0.6931)
    """

    def __init__(self, ignore_index: int | None = 255, task: str | Task = "multiclass"):
        resolved = Task.resolve(task)
        super().__init__(_FORMS[resolved.activation], ignore_index, resolved)


class BinaryCrossEntropy(nn.Module):
    """torch's binary cross-entropy, the mean over labels of 0 and 1 that are not `ignore_index`."""

    def __init__(self, ignore_index: int | None = None):
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        labels = labels.reshape(logits.shape)
        every = torch.ones_like(labels, dtype=torch.bool)
        valid = every if self.ignore_index is None else labels != self.ignore_index
        each = F.binary_cross_entropy_with_logits(logits, labels.where(valid, 0).to(logits.dtype), reduction="none")
        return mean(each * valid, valid)


_FORMS: Mapping[Activation, Callable[..., nn.Module]] = {SOFTMAX: nn.CrossEntropyLoss, SIGMOID: BinaryCrossEntropy}
