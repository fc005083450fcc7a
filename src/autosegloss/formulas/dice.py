"""The Dice coefficient of classes, or F1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from autosegloss.formulas.formula import Sums, ratio
from autosegloss.formulas.iou import MeanIoU, confusion


@dataclass(frozen=True)
class Dice(MeanIoU):
    """Dice = 1/C sum_c 2 |pred_c AND true_c| / (|pred_c| + |true_c|), over the whole data set, never per image.

    |pred| + |true| is |pred AND true| + |pred OR true|, so that each of the two operations has a curve, as in mIoU.

    Source: L. R. Dice, Measures of the amount of ecologic association between species, Ecology 26 (1945).
    """

    name: ClassVar[str] = "dice"

    def class_scores(self, sums: Sums) -> Tensor:
        hit, wrong, missed = confusion(sums)
        return ratio(2 * hit, 2 * hit + wrong + missed)
