"""The precision of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from autosegloss.formulas.formula import Sums, ratio
from autosegloss.formulas.iou import MeanIoU, confusion


@dataclass(frozen=True)
class Precision(MeanIoU):
    """Precision = 1/C sum_c |pred_c AND true_c| / |pred_c|; 0 for a class of the truth that is not predicted.

    |pred| is |pred AND true| + |pred OR true| - |true|: AND and OR have the curves.
    """

    name: ClassVar[str] = "precision"

    def class_scores(self, sums: Sums) -> Tensor:
        hit, wrong, _ = confusion(sums)
        return ratio(hit, hit + wrong)
