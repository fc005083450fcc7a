"""Losses of torch and segmentation-models-pytorch, made to obey the laws of this package."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from autosegloss.losses.pixels import masked


class LibraryLoss(nn.Module):
    """A loss of a library, protected from inputs that it does not handle.

    If all pixels are ignored, the libraries' losses return nan (cross-entropy, focal) or no scalar (Lovász). They also
    propagate nan from ignored logits into the gradient, and compute in half precision. The values of other batches do
    not change.

    Args:
        loss: makes the loss when called with `ignore_index=...`.
        ignore_index: the label of pixels to ignore; None counts all pixels.

    Example:
        >>> from autosegloss.losses import LibraryLoss
        >>> loss = LibraryLoss(torch.nn.CrossEntropyLoss)
        >>> loss(torch.zeros(1, 2, 4, 4), torch.ones(1, 4, 4, dtype=torch.long))
        tensor(0.6931)
    """

    def __init__(self, loss: Callable[..., nn.Module], ignore_index: int | None = 255):
        super().__init__()
        self.ignore_index = ignore_index
        self.loss = loss() if ignore_index is None else loss(ignore_index=ignore_index)  # torch rejects None

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(logits.device.type, enabled=False):
            logits, valid = masked(logits, labels, self.ignore_index)
            if not valid.any():
                return logits.sum()  # all are masked: 0, with gradient 0
            return self.loss(logits, labels.long())
