"""Cross-entropy that balances the classes of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from autosegloss.errors import InputError, is_number
from autosegloss.losses.pixels import cross_entropy, mean


class WeightedCrossEntropy(nn.Module):
    """Mean over the valid pixels of -w_y log p_y, with one weight per class.

    weights: (C,) numbers of 0 or more; None waits for `measure`. U-Net (Ronneberger et al., 2015) weighs classes to
    balance their frequencies and gives no formula. Raises InputError for other weights, and when it is called without.
    """

    def __init__(self, weights: Sequence[float] | None = None, ignore_index: int | None = 255):
        super().__init__()
        self.ignore_index = ignore_index
        self.given = weights is not None
        self.weights = None if weights is None else _checked(weights)

    def measure(self, counts: Tensor) -> None:
        """Take the weights from the pixels (C,) that each class has in the training set; given weights stay.

        w_c = N / (K n_c): inverse frequencies, with N pixels and K classes that occur, so that the mean weight over
        the pixels is 1. A class that does not occur has weight 0. Raises InputError for counts without any pixel.
        """
        if self.given:
            return
        counts = torch.as_tensor(counts, dtype=torch.float64)
        if counts.ndim != 1 or not (counts >= 0).all() or not 0 < counts.sum() < torch.inf:
            raise InputError(f"expected the pixel counts (C,) of a training set, got {counts.tolist()}")
        fair = counts.sum() / (counts > 0).sum()  # pixels of each class if all that occur had the same
        self.weights = torch.where(counts > 0, fair / counts, 0).tolist()

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.weights is None:
            raise InputError("the class weights are not measured: call measure(pixel counts), or give weights=[...]")
        if (channels := logits.shape[1]) != len(self.weights):
            raise InputError(f"loss.weights: expected {channels} numbers, one a class, got {len(self.weights)}")
        weight = torch.tensor(self.weights, dtype=torch.float64)  # no buffer: `half()` would make other weights of it
        return mean(*cross_entropy(logits, labels, self.ignore_index, weight))

    def extra_repr(self) -> str:
        return f"weights={self.weights}, ignore_index={self.ignore_index}"


def _checked(weights: Sequence[float]) -> list[float]:
    weights = list(weights) if isinstance(weights, Iterable) else [weights]
    if not weights or not all(is_number(weight) and weight >= 0 for weight in weights):
        raise InputError(f"loss.weights: expected a number of 0 or more for each class, got {weights}")
    return weights
