"""The F-beta of classes: recall counts beta times as much as precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from autosegloss.errors import positive
from autosegloss.formulas.formula import Sums, ratio
from autosegloss.formulas.iou import MeanIoU, confusion


@dataclass(frozen=True)
class FBeta(MeanIoU):
    """F = 1/C sum_c (1 + b^2) TP / ((1 + b^2) TP + FP + b^2 FN), b being beta.

    TP = |pred AND true|, FP = |pred OR true| - |true|, FN = |true| - |pred AND true|: AND and OR have the curves.

    Args:
        beta: above 0; 1 gives Dice, 2 counts recall more, 0.5 precision.

    Raises:
        InputError: for another beta.

    Source: C. J. van Rijsbergen, Information Retrieval (1979), chapter 7.
    """

    name: ClassVar[str] = "fbeta"
    beta: float = 1

    def __post_init__(self) -> None:
        positive("beta", self.beta)

    def class_scores(self, sums: Sums) -> Tensor:
        hit, wrong, missed = confusion(sums)
        square = self.beta**2
        return ratio((1 + square) * hit, (1 + square) * hit + wrong + square * missed)
