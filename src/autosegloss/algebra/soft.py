"""The soft reading: AND, OR and XOR on maps in [0, 1], bent by curves, and the prediction whose sums a loss needs."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from autosegloss.algebra.checks import check_mask
from autosegloss.algebra.inputs import LabelMap, accumulation_dtype, soft_map, sum_by_label
from autosegloss.algebra.logic import Logic, undeclared
from autosegloss.algebra.maps import DenseMap, Map
from autosegloss.algebra.sums import CurveSum, Sum
from autosegloss.curves import Curve, Identity

_UNBENT = Curve(Identity(), Identity().control_points(torch.empty(0, dtype=torch.float64)))


class SoftLogic(Logic):
    """The truth tables interpolated and bent (eq. 7-9), on maps in [0, 1]: the surrogate.

    AND(a, b) = g(a) g(b) and OR(a, b) = g(a) + g(b) - g(a) g(b), with the curve g of the operation. An operation has
    one curve for both operands, or two, one per operand; an operation without a curve is not bent.
    """

    def __init__(self, operations: Sequence[str], curves: Mapping[str, Sequence[Curve]]):
        super().__init__(operations)
        self.curves = {name: curves.get(name) or [_UNBENT] for name in operations}

    def and_(self, name: str, a: Map, b: Map) -> Map:
        first, second = self._bent(name, a, b)
        if pair := _with_labels(first, second):
            return TrueClassMap(*pair)
        x, y = _aligned(first, second)
        return DenseMap(x * y)

    def or_(self, name: str, a: Map, b: Map) -> Map:
        first, second = self._bent(name, a, b)
        pair = _with_labels(first, second)
        if pair and isinstance(pair[0], Prediction):
            return SoftUnion(pair[0], pair[1])
        x, y = _aligned(first, second)
        return DenseMap(x + y - x * y)

    def xor(self, name: str, a: Map, b: Map) -> Map:
        # With two different curves OR - AND dips below 0 at a few pixels; a negative boundary has no meaning.
        either, both = (_aligned(*self._bent(f"{name}_{part}", a, b)) for part in ("or", "and"))
        return DenseMap(_Xor.apply(*either, *both))

    def _bent(self, name: str, a: Map, b: Map) -> tuple[Map, Map]:
        if name not in self.curves:
            raise undeclared(name, self.operations)
        return _bend(a, self.curves[name][0]), _bend(b, self.curves[name][-1])


class BentMap(Map):
    """g(m) of a map m (N, C, *S) by its values; the curve g is applied where a result needs it."""

    def __init__(self, values: Tensor, curve: Curve):
        self.values, self.curve = values, curve
        self.shape, self.crisp = values.shape, values.dtype == torch.bool

    def dense(self) -> Tensor:
        return self._bent(self.values)

    def at(self, where: LabelMap) -> Tensor:
        """g(m) at the labels (N, *S)."""
        return self._bent(where.at(self.values))

    def _bent(self, values: Tensor) -> Tensor:
        return self.curve.of_crisp(values, accumulation_dtype(values.device)) if self.crisp else self.curve(values)

    def total_at(self, where: LabelMap, mask: Tensor) -> Sum:
        """Sum of g(m) at the labels, within mask (N, 1, *S), bool -> (C,)."""
        values = self.at(where)
        sums = sum_by_label(where.labels, where.num_classes, values * (where.mask & mask).squeeze(1))
        return Sum(((1, sums.to(values.dtype)),))


class Prediction(Map):
    """g(p) within a mask, p being the softmax of logits, 0 at ignored pixels: it is known by its sums alone.

    Its totals, and those of its AND and OR with the labels, are sums of curves, which the kernels compute without
    storing probabilities. Any other operation takes `dense()`, which computes them and sets `laid_out`: then the
    formula has to be evaluated on dense maps.

    Args:
        logits: (N, C, *S).
        true: the one-hot map of the labels; its mask is the valid map.
    """

    crisp = False

    def __init__(self, logits: Tensor, true: LabelMap):
        self.shape, self.true = logits.shape, true
        self.curve, self.mask = _UNBENT, true.mask
        self._source = _Source(logits)

    @property
    def laid_out(self) -> bool:
        """Whether an operation needed the probabilities."""
        return self._source.laid_out

    def dense(self) -> Tensor:
        return self.curve(self._probs())

    def bent(self, curve: Curve) -> Map:
        """g(self), for a curve with g(0) = 0."""
        return self._like(curve, self.mask) if self.curve.straight else BentMap(self.dense(), curve)

    def within(self, mask: Tensor) -> Prediction:
        check_mask(mask, self.shape)
        return self._like(self.curve, _both(self.mask, mask, self.true.mask))

    def total(self, mask: Tensor) -> Sum:
        return Sum(((1, CurveSum(self.curve, self._within_valid(mask), at_labels=False)),))

    def at(self, where: LabelMap) -> Tensor:
        """g(p) at the labels (N, *S)."""
        return BentMap(self._probs(), self.curve).at(where)

    def total_at(self, where: LabelMap, mask: Tensor) -> Sum:
        """Sum of g(p) at the labels, within mask (N, 1, *S), bool -> (C,)."""
        if where.labels is not self.true.labels:
            return BentMap(self._probs(), self.curve).total_at(where, mask)
        within = self._within_valid(_both(where.mask, mask, self.true.mask))
        return Sum(((1, CurveSum(self.curve, within, at_labels=True)),))

    def _probs(self) -> Tensor:
        probs = self._source.probs(self.true.mask)
        return probs if self.mask is self.true.mask else probs * self.mask

    def _like(self, curve: Curve, mask: Tensor) -> Prediction:
        other = copy.copy(self)
        other.curve, other.mask = curve, mask
        return other

    def _within_valid(self, mask: Tensor) -> Tensor | None:
        """The mask of a sum; None stands for the valid map."""
        check_mask(mask, self.shape)
        within = _both(self.mask, mask, self.true.mask)
        return None if within is self.true.mask else within


class _Source:
    """The logits of a prediction, shared by all maps made of it."""

    def __init__(self, logits: Tensor):
        self.logits, self.laid_out = logits, False

    def probs(self, valid: Tensor) -> Tensor:
        self.laid_out = True
        return soft_map(self.logits, valid)


class TrueClassMap(Map):
    """g(m) at the classes of a one-hot map, 0 elsewhere: the AND of both, as the one-hot map is not bent."""

    crisp = False

    def __init__(self, m: BentMap | Prediction, where: LabelMap):
        self.m, self.where, self.shape = m, where, where.shape

    def dense(self) -> Tensor:
        values = self.m.at(self.where).unsqueeze(1) * self.where.mask
        return values.new_zeros(self.shape).scatter(1, self.where.labels.unsqueeze(1).long(), values)

    def within(self, mask: Tensor) -> TrueClassMap:
        return TrueClassMap(self.m, self.where.within(mask))

    def total(self, mask: Tensor) -> Sum:
        return self.m.total_at(self.where, mask)


class SoftUnion(Map):
    """OR(p, b) = g(p) + (1 - g(p)) b of a prediction and a one-hot map, for a curve with g(0) = 0 and g(1) = 1."""

    crisp = False

    def __init__(self, m: Prediction, where: LabelMap):
        self.m, self.where, self.shape = m, where, where.shape

    def dense(self) -> Tensor:
        return torch.where(self.where.dense(), 1, self.m.dense())

    def within(self, mask: Tensor) -> SoftUnion:
        return SoftUnion(self.m.within(mask), self.where.within(mask))

    def total(self, mask: Tensor) -> Sum:
        """Sum of g(p) everywhere, and of 1 - g(p) at the labels."""
        ((_, everywhere),) = self.m.total(mask).terms
        ((_, at_labels),) = self.m.total_at(self.where, mask).terms
        return Sum(((1, everywhere), (-1, at_labels), *self.where.total(mask).terms))


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
    if m.crisp and curve.fixes_endpoints:
        return m
    if isinstance(m, Prediction) and curve.fixes_endpoints:
        return m.bent(curve)
    return BentMap(m.dense(), curve)


def _with_labels(a: Map, b: Map) -> tuple[BentMap | Prediction, LabelMap] | None:
    """The operands as a soft map and a one-hot map, if they are these, in any order."""
    soft, crisp = (b, a) if isinstance(a, LabelMap) else (a, b)
    return (soft, crisp) if isinstance(soft, BentMap | Prediction) and isinstance(crisp, LabelMap) else None


def _aligned(a: Map, b: Map) -> tuple[Tensor, Tensor]:
    """The values of two maps; a crisp one takes the type of the other."""
    x, y = a.dense(), b.dense()
    soft = [values.dtype for m, values in ((a, x), (b, y)) if not m.crisp] or [torch.get_default_dtype()]
    return x.to(soft[0]), y.to(soft[-1])


def _both(a: Tensor, b: Tensor, valid: Tensor) -> Tensor:
    """a AND b of masks within the valid map; without a new tensor where one of them is the other or the valid map."""
    if a is b or b is valid:
        return a
    return b if a is valid else a & b
