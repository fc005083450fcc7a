"""Boundary IoU as its authors define it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autosegloss.algebra import Logic, Map
from autosegloss.algebra.morphology import Window, sides_of
from autosegloss.formulas.boundary import BoundaryIoU, pooled_over
from autosegloss.formulas.formula import Formula, Statistics
from autosegloss.formulas.iou import MeanIoU
from autosegloss.formulas.lengths import window


@dataclass(frozen=True)
class ChengBoundaryIoU(BoundaryIoU):
    """Boundary IoU = 1/C sum_c |B(pred) AND B(true)| / |B(pred) OR B(true)|, B(m) = m XOR MinPool(m).

    B(m) are the pixels of a mask within `width` of its boundary, MinPool has kernel 2 width + 1, and the border of the
    image is a boundary. `BoundaryIoU`, the paper's, takes one band for both: that of the truth.

    Args:
        width: whole pixels, or below 1 a fraction of the diagonal, that of padded images if padded; with `spacing`
            millimetres.
        spacing: millimetres of a pixel: a number, or one for each axis, as for `BoundaryIoU`.
        rims: True lets a class end where ignored pixels begin, in the truth and in the prediction.

    Raises:
        InputError: for another width, spacing or rims.

    Source: B. Cheng et al., Boundary IoU: Improving object-centric image segmentation evaluation (CVPR 2021).
    """

    name: ClassVar[str] = "biou_cheng"
    operations: ClassVar[tuple[str, ...]] = ("boundary_and", "boundary_or", "and", "or")
    classwise: ClassVar[bool] = True
    width: float = 0.02

    __repr__ = Formula.__repr__  # without options that are off

    def statistics(self, logic: Logic, pred: Map, true: Map, valid: Tensor) -> Statistics:
        size = window(self.width, true.shape[2:], self.spacing)
        inside = _inside(valid[:, :1], size)
        seen = pooled_over(valid, self.rims)
        pred = logic.xor("boundary", pred, pred.erode(size, seen).within(inside)).within(valid)
        true = (true ^ true.erode(size, seen).within(inside)).within(valid)
        return MeanIoU.statistics(self, logic, pred, true, valid)


def _inside(valid: Tensor, size: Window) -> Tensor:
    """The pixels whose window lies inside of the image, bool, of the shape of `valid` (N, 1, *S)."""
    inside = torch.ones_like(valid)
    for axis, side in sides_of(size, valid.ndim).items():
        length = valid.shape[axis]
        if axis + 3 > valid.ndim or length > 1:  # a volume of one slice is an image: nothing is before or behind it
            inside.narrow(axis, 0, min(side // 2, length)).zero_()
            inside.narrow(axis, max(0, length - side // 2), min(side // 2, length)).zero_()
    return inside
