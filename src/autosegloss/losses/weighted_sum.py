"""The weighted mean of several losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from autosegloss.algebra.checks import check_ignore_index
from autosegloss.errors import InputError, is_number


class WeightedSum(nn.Module):
    """sum_k w_k loss_k / sum_k w_k of losses called with the same logits and labels.

    Args:
        losses: one or more modules, or functions that make one when called with `ignore_index=...`.
        weights: w_k, a number above 0 for each loss.
        ignore_index: the label of pixels to ignore; None counts all pixels.

    Raises:
        InputError: for other weights, and for a loss with another ignore_index.
    """

    def __init__(
        self,
        losses: Sequence[nn.Module | Callable[..., nn.Module]],
        weights: Sequence[float],
        ignore_index: int | None = 255,
    ):
        super().__init__()
        check_ignore_index(ignore_index)
        made = [loss if isinstance(loss, nn.Module) else loss(ignore_index=ignore_index) for loss in losses]
        self.losses, self.weights, self.ignore_index = nn.ModuleList(made), list(weights), ignore_index
        if not made or len(made) != len(self.weights) or not all(is_number(w) and w > 0 for w in self.weights):
            raise InputError(f"loss.weights: expected {len(made)} numbers above 0, one a loss, got {self.weights}")
        if others := {loss.ignore_index for loss in made} - {ignore_index}:
            raise InputError(f"all losses of a sum must have its ignore_index={ignore_index}, got {others}")

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        weighted = (w * loss(logits, labels) for w, loss in zip(self.weights, self.losses, strict=True))
        return sum(weighted) / sum(self.weights)

    def extra_repr(self) -> str:
        return f"weights={self.weights}, ignore_index={self.ignore_index}"
