"""The soft boundary of a prediction, described: its sums can be computed without a map for each operation.

Each map here lays out its values where an operation asks for more than a sum that has a description.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from autosegloss.algebra.inputs import LabelMap, sum_by_label
from autosegloss.algebra.maps import ClassSets, DenseMap, Map
from autosegloss.algebra.morphology import Window, erode, sides_of
from autosegloss.algebra.sums import Sum, Term
from autosegloss.curves import Curve


class Eroded(Map):
    """MinPool over a window of 3 x 3 of a prediction m, as no operation has changed it."""

    crisp = False

    def __init__(self, m: Map, valid: Tensor):
        self.m, self.valid, self.shape = m, valid, m.shape

    def dense(self) -> Tensor:
        return erode(self.m.dense(), 3, self.valid)


class SoftBoundary(Map):
    """b = m XOR MinPool_3(m) of a prediction m.

    Args:
        eroded: MinPool_3(m).
        curves: of OR for both operands, and of AND for both, each with g(0) = 0 and g(1) = 1.
        lay_out: computes the values (N, C, *S).
    """

    crisp = False

    def __init__(self, eroded: Eroded, curves: Sequence[Curve], lay_out: Callable[[], Tensor]):
        self.valid, self.shape = eroded.valid, eroded.shape
        self.curves, self.lay_out = tuple(curves), lay_out
        self.cut = False

    def dense(self) -> Tensor:
        values = self.lay_out()
        return DenseMap(values).within(self.valid).dense() if self.cut else values

    def within(self, mask: Tensor) -> Map:
        if mask is not self.valid:
            return super().within(mask)
        cut = copy.copy(self)
        cut.cut = True
        return cut

    def bent(self, curve: Curve) -> BentBoundary:
        """g(b), for a curve with g(0) = 0."""
        return BentBoundary(self, curve)

    def dilate(self, size: Window) -> Map:
        sides_of(size, len(self.shape))
        return Highest(self, size) if self.cut and isinstance(size, int) else super().dilate(size)

    def larger(self, other: Map) -> Map:
        """The larger of the boundary and its matched part."""
        if self.cut and isinstance(other, Matched) and other.bent.boundary is self:
            return Larger(self, other)
        return super().larger(other)

    def total(self, mask: Tensor) -> Sum:
        if self.cut and mask is self.valid:
            return Sum(((1, WholeSum(self, None)),))
        return super().total(mask)


class BentBoundary(Map):
    """g(b) of a boundary b."""

    crisp = False

    def __init__(self, boundary: SoftBoundary, curve: Curve):
        self.boundary, self.curve, self.shape = boundary, curve, boundary.shape

    def dense(self) -> Tensor:
        return self.curve(self.boundary.dense())


class Matched(Map):
    """g(b) where a crisp map of sets of classes holds: the AND of both."""

    crisp = False

    def __init__(self, bent: BentBoundary, sets: ClassSets):
        self.bent, self.sets, self.shape = bent, sets, bent.shape

    def dense(self) -> Tensor:
        values = self.bent.dense()
        return values * self.sets.dense().to(values.dtype)

    def total(self, mask: Tensor) -> Sum:
        boundary = self.bent.boundary
        if boundary.cut and mask is boundary.valid:
            return Sum(((1, MatchedSum(boundary, self.bent.curve, self.sets)),))
        return super().total(mask)


class Larger(Map):
    """The larger of a boundary and its matched part."""

    crisp = False

    def __init__(self, boundary: SoftBoundary, matched: Matched):
        self.boundary, self.matched, self.shape = boundary, matched, boundary.shape

    def dense(self) -> Tensor:
        return DenseMap(self.boundary.dense()).larger(DenseMap(self.matched.dense())).dense()

    def total(self, mask: Tensor) -> Sum:
        if mask is self.boundary.valid:
            return Sum(((1, WholeSum(self.boundary, self.matched)),))
        return super().total(mask)


class Highest(Map):
    """g(MaxPool(b)) over a window of `side` pixels, of a boundary b."""

    crisp = False

    def __init__(self, boundary: SoftBoundary, side: int, curve: Curve | None = None):
        self.boundary, self.side, self.curve, self.shape = boundary, side, curve, boundary.shape

    def dense(self) -> Tensor:
        values = DenseMap(self.boundary.dense()).dilate(self.side).dense()
        return values if self.curve is None else self.curve(values)

    def bent(self, curve: Curve) -> Map:
        """The map bent by a curve with g(0) = 0."""
        return Highest(self.boundary, self.side, curve)

    def at(self, where: LabelMap) -> Tensor:
        """The values (N, *S) at the labels."""
        return where.at(self.dense())

    def total_at(self, where: LabelMap, mask: Tensor) -> Sum:
        """Sum at the labels, within mask (N, 1, *S), bool -> (C,)."""
        within = where.mask if mask is self.boundary.valid else where.mask & mask
        if self.curve is not None:
            return Sum(((1, FoundSum(self.boundary, self.curve, self.side, where.within(within))),))
        values = self.at(where) * within.squeeze(1)
        return Sum(((1, sum_by_label(where.labels, where.num_classes, values).to(values.dtype)),))


@dataclass(frozen=True, eq=False)
class MatchedSum(Term):
    """sum_x g(b(x)) over the pixels whose sets have the class."""

    boundary: SoftBoundary
    curve: Curve
    sets: ClassSets


@dataclass(frozen=True, eq=False)
class WholeSum(Term):
    """sum_x of a boundary, or of the larger of it and its matched part."""

    boundary: SoftBoundary
    matched: Matched | None


@dataclass(frozen=True, eq=False)
class FoundSum(Term):
    """sum_x g(highest boundary in the window of x) over the pixels of a one-hot map, each for its own class."""

    boundary: SoftBoundary
    curve: Curve
    side: int
    where: LabelMap
