"""Cross-entropy with class weights that balance a data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from autosegloss.algebra.checks import check_ignore_index, check_shapes
from autosegloss.algebra.inputs import is_class
from autosegloss.errors import InputError, is_number
from autosegloss.losses.pixels import cross_entropy, exclusive_task, mean
from autosegloss.tasks import Task


class WeightedCrossEntropy(nn.Module):
    """Mean over the valid pixels of -w_y log p_y, with one weight per class.

    Args:
        weights: (C,) numbers of 0 or more; None takes them from `measure`, which must be called before the loss.
        ignore_index: the label of pixels to ignore; None counts all pixels.
        task: "multiclass", or "binary": two classes with the logits 0 and z.

    Raises:
        InputError: for another task, other weights, and when called without weights.

    Source: U-Net (Ronneberger et al., 2015) balances the class frequencies by weights, without a formula.
    """

    def __init__(
        self,
        weights: Sequence[float] | None = None,
        ignore_index: int | None = 255,
        task: str | Task = "multiclass",
    ):
        super().__init__()
        self.ignore_index, self.task = check_ignore_index(ignore_index), exclusive_task("wce", task)
        self.given = weights is not None
        self.weights = None if weights is None else _checked(weights)  # no buffer: `half()` would round it

    def measure(self, counts: Tensor) -> None:
        """Set the weights to inverse class frequencies, unless weights were given.

        w_c = N / (K n_c), where N pixels belong to K classes that occur, so that the mean weight of a pixel is 1. A
        class that does not occur or is ignored has weight 0.

        Args:
            counts: n_c (C,), the number of pixels of each class in the training set.

        Raises:
            InputError: if there are no pixels, or counts are negative or not one-dimensional.
        """
        if self.given:
            return
        counts = torch.as_tensor(counts).cpu().to(torch.float64, copy=True)
        if counts.ndim == 1 and is_class(self.ignore_index, len(counts)):
            counts[self.ignore_index] = 0
        if counts.ndim != 1 or not (counts >= 0).all() or not 0 < counts.sum() < torch.inf:
            raise InputError(f"expected the pixel counts (C,) of a training set, got {counts.tolist()}")
        fair = counts.sum() / (counts > 0).sum()  # pixels of a class if all had equally many
        self.weights = torch.where(counts > 0, fair / counts, 0).tolist()

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.weights is None:
            raise InputError("the class weights are not measured: call measure(pixel counts), or give weights=[...]")
        logits, labels = self.task.as_classes(logits, labels)
        check_shapes(logits, labels)
        if (channels := logits.shape[1]) != len(self.weights):
            raise InputError(f"loss.weights: expected {channels} numbers, one a class, got {len(self.weights)}")
        return mean(*cross_entropy(logits, labels, self.ignore_index, self.weights))

    def extra_repr(self) -> str:
        return f"weights={self.weights}, ignore_index={self.ignore_index}"


def _checked(weights: Sequence[float]) -> list[float]:
    """The weights as a list; raises InputError unless they are numbers of 0 or more. A config may give one number."""
    given = list(weights) if isinstance(weights, Iterable) else [weights]
    if not given or not all(is_number(weight) and weight >= 0 for weight in given):
        raise InputError(f"loss.weights: expected a number of 0 or more for each class, got {given}")
    return given
