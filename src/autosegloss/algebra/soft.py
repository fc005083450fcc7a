"""The soft reading: AND, OR and XOR on maps in [0, 1], bent by curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from autosegloss.algebra.boundaries import BentBoundary, Eroded, Highest, Matched, SoftBoundary
from autosegloss.algebra.inputs import LabelMap
from autosegloss.algebra.logic import Logic, undeclared
from autosegloss.algebra.maps import ClassSets, DenseMap, Map, SoftLabels
from autosegloss.algebra.prediction import UNBENT, BentMap, Prediction, SoftUnion, TrueClassMap
from autosegloss.curves import Curve


class SoftLogic(Logic):
    """The truth tables interpolated and bent (eq. 7-9), on maps in [0, 1]: the surrogate.

    AND(a, b) = g(a) g(b) and OR(a, b) = g(a) + g(b) - g(a) g(b) (eq. 9: h_AND, h_OR), with the curve g(.; theta) of the
    operation; XOR = OR - AND. An operation has one curve for both operands, or two, one per operand; without a curve it
    is not bent (eq. 8).

    Labels are not bent, as g(0) = 0 and g(1) = 1. With soft labels y, which would be, AND(a, y) = min(g(a), y) and
    OR(a, y) = max(g(a), y): for y of 0 and 1 the same as above, and never above or below y, so that scores stay in
    [0, 1]. Curves with free ends bend labels as all else.
    """

    def __init__(self, operations: Sequence[str], curves: Mapping[str, Sequence[Curve]]):
        super().__init__(operations)
        self.curves = {name: curves.get(name) or [UNBENT] for name in operations}

    def and_(self, name: str, a: Map, b: Map) -> Map:
        first, second = self._bent(name, a, b)
        if pair := _with_labels(first, second):
            return TrueClassMap(*pair)
        if known := _with_crisp(first, second):
            return known[0].within(known[1].values)
        if isinstance(first, BentBoundary) and isinstance(second, ClassSets):
            return Matched(first, second)
        x, y = _aligned(first, second)
        return DenseMap(torch.minimum(x, y) if _with_soft_labels(first, second) else x * y)

    def or_(self, name: str, a: Map, b: Map) -> Map:
        first, second = self._bent(name, a, b)
        pair = _with_labels(first, second)
        if pair and isinstance(pair[0], Prediction):
            return SoftUnion(pair[0], pair[1])
        if known := _with_crisp(first, second):
            return SoftUnion(*known)
        x, y = _aligned(first, second)
        return DenseMap(torch.maximum(x, y) if _with_soft_labels(first, second) else x + y - x * y)

    def xor(self, name: str, a: Map, b: Map) -> Map:
        if _with_soft_labels(a, b):
            either, both = self.or_(f"{name}_or", a, b), self.and_(f"{name}_and", a, b)
            return DenseMap((either.dense() - both.dense()).clamp_min(0))
        curves = [curve for part in ("or", "and") for curve in self._curves(f"{name}_{part}")]

        def lay_out() -> Tensor:
            # With two different curves OR - AND dips below 0 at a few pixels; a negative boundary has no meaning.
            either, both = (_aligned(*self._bent(f"{name}_{part}", a, b)) for part in ("or", "and"))
            return _Xor.apply(*either, *both)

        if isinstance(b, Eroded) and b.m is a and all(curve.fixes_endpoints for curve in curves):
            return SoftBoundary(b, curves, lay_out)
        return DenseMap(lay_out())

    def _bent(self, name: str, a: Map, b: Map) -> tuple[Map, Map]:
        first, second = self._curves(name)
        return _bend(a, first), _bend(b, second)

    def _curves(self, name: str) -> tuple[Curve, Curve]:
        """The curve of each operand."""
        if name not in self.curves:
            raise undeclared(name, self.operations)
        return self.curves[name][0], self.curves[name][-1]


class _Xor(torch.autograd.Function):
    """max(0, (a + b - a b) - c d), with a gradient in fewer passes over memory than its parts would take."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
        result = (a + b).addcmul_(a, b, value=-1).addcmul_(c, d, value=-1).clamp_min_(0)
        ctx.save_for_backward(a, b, c, d, result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        a, b, c, d, result = ctx.saved_tensors
        gradient = torch.ops.aten.threshold_backward(gradient, result, 0)
        left, right = (torch.addcmul(gradient, gradient, other, value=-1) for other in (b, a))
        return left, right, gradient * -d, gradient * -c


def _bend(m: Map, curve: Curve) -> Map:
    """g(m)."""
    if (m.crisp or isinstance(m, SoftLabels)) and curve.fixes_endpoints:
        return m
    if isinstance(m, Prediction | SoftBoundary | Highest) and curve.fixes_endpoints:
        return m.bent(curve)
    return BentMap(m.dense(), curve)


def _with_labels(a: Map, b: Map) -> tuple[BentMap | Prediction | Highest, LabelMap] | None:
    """The operands as a soft map and a one-hot map, if they are these, in any order."""
    soft, crisp = (b, a) if isinstance(a, LabelMap) else (a, b)
    return (soft, crisp) if isinstance(soft, BentMap | Prediction | Highest) and isinstance(crisp, LabelMap) else None


def _with_crisp(a: Map, b: Map) -> tuple[Prediction, DenseMap] | None:
    """The operands as a prediction and a dense crisp map, if they are these, in any order."""
    soft, crisp = (b, a) if isinstance(a, DenseMap) else (a, b)
    return (soft, crisp) if isinstance(soft, Prediction) and isinstance(crisp, DenseMap) and crisp.crisp else None


def _with_soft_labels(a: Map, b: Map) -> bool:
    return isinstance(a, SoftLabels) or isinstance(b, SoftLabels)


def _aligned(a: Map, b: Map) -> tuple[Tensor, Tensor]:
    """The values of two maps; a crisp one takes the type of the other."""
    x, y = a.dense(), b.dense()
    soft = [values.dtype for m, values in ((a, x), (b, y)) if not m.crisp] or [torch.get_default_dtype()]
    return x.to(soft[0]), y.to(soft[-1])
