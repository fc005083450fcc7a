"""Global and mean accuracy (eq. 1 and 2 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from autosegloss.algebra.inputs import total
from autosegloss.algebra.logic import Logic
from autosegloss.formulas.formula import Formula, Statistics, ratio


@dataclass(frozen=True)
class MeanAccuracy(Formula):
    """mAcc = 1/C sum_c |pred_c AND true_c| / |true_c| (eq. 2)."""

    name: ClassVar[str] = "macc"
    operations: ClassVar[tuple[str, ...]] = ("and",)
    classwise: ClassVar[bool] = True

    def statistics(self, logic: Logic, pred: Tensor, true: Tensor, valid: Tensor) -> Statistics:
        return {"hit": total(logic.and_("and", pred, true), valid), "true": total(true, valid)}

    def class_scores(self, sums: Statistics) -> Tensor:
        return ratio(sums["hit"], sums["true"])


@dataclass(frozen=True)
class GlobalAccuracy(MeanAccuracy):
    """gAcc = sum_c |pred_c AND true_c| / sum_c |true_c| (eq. 1): class accuracies weighted by class frequency."""

    name: ClassVar[str] = "gacc"

    def class_weights(self, sums: Statistics, classes: str) -> Tensor:
        return sums["true"]
