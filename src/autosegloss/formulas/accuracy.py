"""Global and mean accuracy (eq. 1 and 2 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from autosegloss.algebra import Logic, Map
from autosegloss.formulas.formula import Formula, Statistics, Sums, ratio


@dataclass(frozen=True)
class MeanAccuracy(Formula):
    """mAcc = 1/C sum_c |pred_c AND true_c| / |true_c| (eq. 2)."""

    name: ClassVar[str] = "macc"
    operations: ClassVar[tuple[str, ...]] = ("and",)
    classwise: ClassVar[bool] = True

    def statistics(self, logic: Logic, pred: Map, true: Map, valid: Tensor) -> Statistics:
        return {"hit": logic.and_("and", pred, true).total(valid), "true": true.total(valid)}

    def class_scores(self, sums: Sums) -> Tensor:
        return ratio(sums["hit"], sums["true"])


@dataclass(frozen=True)
class GlobalAccuracy(MeanAccuracy):
    """gAcc = sum_c |pred_c AND true_c| / sum_c |true_c| (eq. 1): class accuracies weighted by class frequency."""

    name: ClassVar[str] = "gacc"

    def class_weights(self, sums: Sums, classes: str) -> Tensor:
        return sums["true"]
