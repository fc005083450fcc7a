"""The correlation of prediction and truth of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from autosegloss.algebra import Logic, Map, Sum
from autosegloss.formulas.formula import Statistics, Sums, ratio
from autosegloss.formulas.iou import MeanIoU, confusion


@dataclass(frozen=True)
class MatthewsCorrelation(MeanIoU):
    """MCC = 1/C sum_c (1 + r_c) / 2, r_c being Matthews' correlation of a class against the rest.

    r = (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN)), 0 for a prediction without the class or with
    it alone. TP = |pred AND true|, FP = |pred OR true| - |true|, FN = |true| - TP and TN the other pixels: AND and OR
    have the curves. A score of 1/2 is that of chance, and the mean of r is twice the score less 1.

    Source: B. W. Matthews, Comparison of the predicted and observed secondary structure of T4 phage lysozyme (1975).
    """

    name: ClassVar[str] = "mcc"

    def statistics(self, logic: Logic, pred: Map, true: Map, valid: Tensor) -> Statistics:
        pixels = valid.sum(dim=(0, *range(2, valid.ndim))).expand(true.shape[1])
        return {**super().statistics(logic, pred, true, valid), "pixels": Sum(((1, pixels),))}

    def class_scores(self, sums: Sums) -> Tensor:
        hit, wrong, missed = confusion(sums)
        rest = (sums["pixels"] - hit - wrong - missed).clamp_min(0)
        tp, fp, fn, tn = (
            ratio(count, sums["pixels"]) for count in (hit, wrong, missed, rest)
        )  # of counts it overflows
        product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        correlation = (tp * tn - fp * fn) / product.clamp_min(1e-24).sqrt()
        return ((1 + correlation) / 2).where(self.defined(sums), 0)

    def defined(self, sums: Sums) -> Tensor:
        """Classes that some pixels of the truth have, and others have not."""
        return (sums["true"] > 0) & (sums["true"] < sums["pixels"])
