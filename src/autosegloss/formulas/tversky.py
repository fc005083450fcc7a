"""The Tversky index of classes: false positives and false negatives with weights of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from autosegloss.errors import InputError, is_number
from autosegloss.formulas.formula import Sums, ratio
from autosegloss.formulas.iou import MeanIoU, confusion


@dataclass(frozen=True)
class Tversky(MeanIoU):
    """Tversky = 1/C sum_c TP / (TP + alpha FP + beta FN).

    TP = |pred AND true|, FP = |pred OR true| - |true|, FN = |true| - |pred AND true|: AND and OR have the curves.

    Args:
        alpha: weight of false positives.
        beta: weight of false negatives. Both 1/2 give Dice, both 1 give IoU.

    Raises:
        InputError: unless both are numbers of 0 or more, and not both are 0.

    Source: A. Tversky, Features of similarity, Psychological Review 84 (1977); the default weights are those of
    S. S. M. Salehi et al., Tversky loss function for image segmentation (2017).
    """

    name: ClassVar[str] = "tversky"
    alpha: float = 0.3
    beta: float = 0.7

    def __post_init__(self) -> None:
        weights = self.alpha, self.beta
        if not all(is_number(weight) and weight >= 0 for weight in weights) or not any(weights):
            raise InputError(f"alpha and beta must be numbers of 0 or more, and not both 0, got {weights}")

    def class_scores(self, sums: Sums) -> Tensor:
        hit, wrong, missed = confusion(sums)
        return ratio(hit, hit + self.alpha * wrong + self.beta * missed)
