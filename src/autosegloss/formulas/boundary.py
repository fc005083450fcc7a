"""Boundary IoU and boundary F1 (eq. 5 and 6 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autosegloss.algebra import Logic, Map
from autosegloss.errors import InputError
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
        rims: True lets a class end where ignored pixels begin, as the authors' release does: for masks that part
            objects by a rim of ignored pixels, as PASCAL VOC's, which else have no boundary.

    Raises:
        InputError: for another width, spacing or rims.
    """

    name: ClassVar[str] = "biou"
    classwise: ClassVar[bool] = False  # the band is that of all classes
    width: float = 5
    spacing: Spacing | None = None
    rims: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "spacing", checked_spacing("width", self.width, self.spacing))
        _check_rims(self.rims)

    __repr__ = Formula.__repr__  # without options that are off

    def statistics(self, logic: Logic, pred: Map, true: Map, valid: Tensor) -> Statistics:
        size = window(self.width, true.shape[2:], self.spacing)
        band = (true ^ true.erode(size, pooled_over(valid, self.rims))).any_class()
        return super().statistics(logic, pred, true, valid & band)


@dataclass(frozen=True)
class BoundaryF1(Formula):
    """BF1 = 1/C sum_c 2 P R / (P + R) of the boundaries BD(m) = m XOR MinPool_3(m) (eq. 6).

    P = |BD(pred) AND MaxPool(BD(true))| / |BD(pred)| and R its mirror image; MaxPool has kernel 2 tolerance + 1.

    Args:
        tolerance: whole pixels, or below 1 a fraction of the diagonal of the tensors, as the width of `BoundaryIoU`;
            with `spacing` millimetres.
        spacing: millimetres of a pixel: a number, or one for each axis, as for `BoundaryIoU`.
        rims: True lets a class end where ignored pixels begin, in the truth and in the prediction.

    Raises:
        InputError: for another tolerance, spacing or rims.
    """

    name: ClassVar[str] = "bf1"
    operations: ClassVar[tuple[str, ...]] = ("boundary_and", "boundary_or", "precision_and", "recall_and")
    classwise: ClassVar[bool] = True
    tolerance: float = 5
    spacing: Spacing | None = None
    rims: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "spacing", checked_spacing("tolerance", self.tolerance, self.spacing))
        _check_rims(self.rims)

    __repr__ = Formula.__repr__  # without options that are off

    def statistics(self, logic: Logic, pred: Map, true: Map, valid: Tensor) -> Statistics:
        size = window(self.tolerance, true.shape[2:], self.spacing)
        seen = pooled_over(valid, self.rims)
        pred = logic.xor("boundary", pred, pred.erode(3, seen)).within(valid)
        true = (true ^ true.erode(3, seen)).within(valid)
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


def pooled_over(valid: Tensor, rims: bool) -> Tensor:
    """The pixels that MinPool looks at: with rims also ignored ones, in which no class holds."""
    return torch.ones_like(valid) if rims else valid


def _check_rims(rims: bool) -> None:
    if not isinstance(rims, bool):
        raise InputError(f"rims must be True or False, got {rims!r}")
