"""Boundary IoU and boundary F1 (eq. 5 and 6 of the paper)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autosegloss.algebra import Logic, Map
from autosegloss.errors import InputError, is_number
from autosegloss.formulas.formula import Formula, Statistics, Sums, ratio
from autosegloss.formulas.iou import MeanIoU


def radius(extent: float, shape: torch.Size) -> int:
    """The pixels of `extent`: a number of pixels, or below 1 a fraction of the diagonal of `shape` (at least 1)."""
    return int(extent) if extent >= 1 else max(1, round(extent * math.hypot(*shape)))


def check_extent(what: str, extent: float) -> None:
    """Raise InputError unless `extent` is a whole number of pixels or a fraction of the diagonal."""
    if not is_number(extent) or not (0 < extent < 1 or (extent >= 1 and float(extent).is_integer())):
        raise InputError(
            f"{what} must be a whole number of pixels >= 1 or a fraction of the image diagonal in (0, 1), "
            f"got {extent!r}"
        )


@dataclass(frozen=True)
class BoundaryIoU(MeanIoU):
    """BIoU: mIoU within the band around the boundaries of the ground truth (eq. 5).

    The band is the union over classes of true_c XOR MinPool(true_c), kernel 2 width + 1.

    Args:
        width: of the band: whole pixels, or below 1 a fraction of the diagonal of the tensors. In a batch that is
            padded to one size that is the padded size: for a fraction of each image, take images of one size at a time.

    Raises:
        InputError: for another width.
    """

    name: ClassVar[str] = "biou"
    classwise: ClassVar[bool] = False  # the band is that of all classes
    width: float = 5

    def __post_init__(self):
        check_extent("width", self.width)

    def statistics(self, logic: Logic, pred: Map, true: Map, valid: Tensor) -> Statistics:
        size = 2 * radius(self.width, true.shape[2:]) + 1
        band = (true ^ true.erode(size, valid)).any_class()
        return super().statistics(logic, pred, true, valid & band)


@dataclass(frozen=True)
class BoundaryF1(Formula):
    """BF1 = 1/C sum_c 2 P R / (P + R) of the boundaries BD(m) = m XOR MinPool_3(m) (eq. 6).

    P = |BD(pred) AND MaxPool(BD(true))| / |BD(pred)| and R its mirror image; MaxPool has kernel 2 tolerance + 1.

    Args:
        tolerance: whole pixels, or below 1 a fraction of the diagonal of the tensors, as the width of `BoundaryIoU`.

    Raises:
        InputError: for another tolerance.
    """

    name: ClassVar[str] = "bf1"
    operations: ClassVar[tuple[str, ...]] = ("boundary_and", "boundary_or", "precision_and", "recall_and")
    classwise: ClassVar[bool] = True
    tolerance: float = 5

    def __post_init__(self):
        check_extent("tolerance", self.tolerance)

    def statistics(self, logic: Logic, pred: Map, true: Map, valid: Tensor) -> Statistics:
        size = 2 * radius(self.tolerance, true.shape[2:]) + 1
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
