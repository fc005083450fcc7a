"""Mean and frequency-weighted intersection over union (eq. 3 and 4 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from autosegloss.algebra import Logic, Map
from autosegloss.formulas.formula import Formula, Statistics, Sums, ratio


@dataclass(frozen=True)
class MeanIoU(Formula):
    """mIoU = 1/C sum_c |pred_c AND true_c| / |pred_c OR true_c| (eq. 3), over the whole data set, never per image."""

    name: ClassVar[str] = "miou"
    operations: ClassVar[tuple[str, ...]] = ("and", "or")
    classwise: ClassVar[bool] = True

    def statistics(self, logic: Logic, pred: Map, true: Map, valid: Tensor) -> Statistics:
        return {
            "intersection": logic.and_("and", pred, true).total(valid),
            "union": logic.or_("or", pred, true).total(valid),
            "true": true.total(valid),
        }

    def class_scores(self, sums: Sums) -> Tensor:
        return ratio(sums["intersection"], sums["union"])

    def defined(self, sums: Sums) -> Tensor:
        """Classes with a non-empty union."""
        return sums["union"] > 0


@dataclass(frozen=True)
class FrequencyWeightedIoU(MeanIoU):
    """FWIoU = sum_c |true_c| IoU_c / sum_c |true_c| (eq. 4)."""

    name: ClassVar[str] = "fwiou"

    def class_weights(self, sums: Sums, classes: str) -> Tensor:
        return sums["true"]


def confusion(sums: Sums) -> tuple[Tensor, Tensor, Tensor]:
    """True positives |AND|, false positives |OR| - |true| and false negatives |true| - |AND|, each (C,).

    However the curves bend AND and OR, and with soft labels, none is below 0: so ratios of them stay in [0, 1].
    """
    hit, union, true = sums["intersection"], sums["union"], sums["true"]
    return hit, (union - true).clamp_min(0), (true - hit).clamp_min(0)
