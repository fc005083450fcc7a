"""A loss of torch or segmentation-models-pytorch under the laws of this package."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from autosegloss.losses.pixels import masked


class LibraryLoss(nn.Module):
    """The loss that `loss(ignore_index=...)` makes, kept from what it does not handle itself.

    Alone, the losses of the libraries give nan (cross-entropy, focal) or no scalar (Lovász) where all is ignored, let
    a nan in ignored logits into the gradient, and compute in half precision where the logits are. What is computed
    from other batches is not changed.
    """

    def __init__(self, loss: Callable[..., nn.Module], ignore_index: int | None = 255):
        super().__init__()
        self.ignore_index = ignore_index
        self.loss = loss() if ignore_index is None else loss(ignore_index=ignore_index)  # torch knows no None

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(logits.device.type, enabled=False):
            logits, valid = masked(logits, labels, self.ignore_index)
            if not valid.any():
                return logits.sum()  # all of them are masked: 0, with a gradient of 0
            return self.loss(logits, labels.long())
