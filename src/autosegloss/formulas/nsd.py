"""The surface Dice of classes, from pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from autosegloss.formulas.boundary import BoundaryF1
from autosegloss.formulas.formula import Sums, ratio


@dataclass(frozen=True)
class SurfaceDice(BoundaryF1):
    """NSD = 1/C sum_c (|B(pred) AND MaxPool(B(true))| + |B(true) AND MaxPool(B(pred))|) / (|B(pred)| + |B(true)|).

    The share of both boundaries that lies within the tolerance of the other one. B is the boundary of `BoundaryF1`;
    the sums and the curves are the same. It counts pixels of boundaries, and the tolerance is a box. DeepMind's
    surface-distance weighs pieces of surface by their area, and its tolerance is a ball (Euclidean distance).

    Args:
        tolerance: pixels, a fraction of the diagonal, or with `spacing` millimetres, as in `BoundaryF1`.
        spacing: millimetres of a pixel: a number, or one for each axis.
        rims: True lets a class end where ignored pixels begin, as in `BoundaryF1`.

    Source: S. Nikolov et al., Deep learning to achieve clinically applicable segmentation of head and neck anatomy for
    radiotherapy (2018).
    """

    name: ClassVar[str] = "nsd"
    __repr__ = BoundaryF1.__repr__

    def class_scores(self, sums: Sums) -> Tensor:
        return ratio(sums["matched"] + sums["found"], sums["pred"] + sums["true"])

    def defined(self, sums: Sums) -> Tensor:
        """Classes with a boundary in the prediction or in the truth."""
        return sums["pred"] + sums["true"] > 0
