"""Boundary IoU and boundary F1 (eq. 5 and 6 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from autosegloss.algebra import Logic, Map
from autosegloss.formulas.formula import Formula, Statistics, Sums, ratio
from autosegloss.formulas.iou import MeanIoU
from autosegloss.formulas.lengths import Spacing, checked_spacing, window


@dataclass(frozen=True)
class BoundaryIoU(MeanIoU):
    """BIoU: mIoU within the band around the boundaries of the ground truth (eq. 5).

    The band is the union over classes of true_c XOR MinPool(true_c), kernel 2 width + 1 pixels.

    Args:
        width: of the band: whole pixels, or below 1 a fraction of the diagonal of the tensors. In a batch that is
            padded to one size that is the padded size: for a fraction of each image, take images of one size at a time.
            With `spacing` millimetres.
        spacing: millimetres of a pixel: a number, or one for each axis, as (D, H, W) or (H, W). Images take the last
            two of three, as slices of a volume.

    Raises:
        InputError: for another width or spacing.
    """

    name: ClassVar[str] = "biou"
    classwise: ClassVar[bool] = False  # the band is that of all classes
    width: float = 5
    spacing: Spacing | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "spacing", checked_spacing("width", self.width, self.spacing))

    __repr__ = Formula.__repr__  # without a spacing that is None

    def statistics(self, logic: Logic, pred: Map, true: Map, valid: Tensor) -> Statistics:
        size = window(self.width, true.shape[2:], self.spacing)
        band = (true ^ true.erode(size, valid)).any_class()
        return super().statistics(logic, pred, true, valid & band)


@dataclass(frozen=True)
class BoundaryF1(Formula):
    """BF1 = 1/C sum_c 2 P R / (P + R) of the boundaries BD(m) = m XOR MinPool_3(m) (eq. 6).

    P = |BD(pred) AND MaxPool(BD(true))| / |BD(pred)| and R its mirror image; MaxPool has kernel 2 tolerance + 1.

    Args:
        tolerance: whole pixels, or below 1 a fraction of the diagonal of the tensors, as the width of `BoundaryIoU`;
            with `spacing` millimetres.
        spacing: millimetres of a pixel: a number, or one for each axis, as for `BoundaryIoU`.

    Raises:
        InputError: for another tolerance or spacing.
    """

    name: ClassVar[str] = "bf1"
    operations: ClassVar[tuple[str, ...]] = ("boundary_and", "boundary_or", "precision_and", "recall_and")
    classwise: ClassVar[bool] = True
    tolerance: float = 5
    spacing: Spacing | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "spacing", checked_spacing("tolerance", self.tolerance, self.spacing))

    __repr__ = Formula.__repr__  # without a spacing that is None

    def statistics(self, logic: Logic, pred: Map, true: Map, valid: Tensor) -> Statistics:
        size = window(self.tolerance, true.shape[2:], self.spacing)
        pred = logic.xor("boundary", pred, pred.erode(3, valid)).within(valid)
        true = (true ^ true.erode(3, valid)).within(valid)
        matched = logic.and_("precision_and", pred, true.dilate(size))
        found = logic.and_("recall_and", true, pred.dilate(size))
        return {
            "matched": matched.total(valid),
            # A bent AND may exceed its operand; a boundary is never smaller than its matched part, so that P <= 1.
            "pred": pred.larger(matched).total(valid),
            "found": found.total(valid),
            "true": true.total(valid),
        }

    def class_scores(self, sums: Sums) -> Tensor:
        precision = ratio(sums["matched"], sums["pred"])
        recall = ratio(sums["found"], sums["true"])
        return ratio(2 * precision * recall, precision + recall)
