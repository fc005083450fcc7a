"""The prediction of a network, whose sums a loss needs, and what AND and OR with the labels make of it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from autosegloss.algebra.activations import SOFTMAX, Activation
from autosegloss.algebra.boundaries import Eroded, Highest
from autosegloss.algebra.checks import check_mask
from autosegloss.algebra.inputs import LabelMap, accumulation_dtype, sum_by_label
from autosegloss.algebra.maps import DenseMap, Map
from autosegloss.algebra.morphology import Window
from autosegloss.algebra.sums import CurveSum, Sum
from autosegloss.algebra.truth import Truth
from autosegloss.curves import Curve, Identity

UNBENT = Curve(Identity(), Identity().control_points(torch.empty(0, dtype=torch.float64)))


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
    """g(p) within a mask, p being the probabilities of logits, 0 at ignored pixels: it is known by its sums alone.

    Its totals, and those of its AND and OR with the labels, are sums of curves, which the kernels compute without
    storing probabilities. Any other operation takes `dense()`, which computes them and sets `laid_out`: then the
    formula has to be evaluated on dense maps.

    Args:
        logits: (N, C, *S).
        truth: the labels and the pixels that count.
        activation: makes the probabilities.
    """

    crisp = False

    def __init__(self, logits: Tensor, truth: Truth, activation: Activation = SOFTMAX):
        self.shape, self.truth = logits.shape, truth
        self.curve, self.mask = UNBENT, truth.valid
        self._source = _Source(logits, activation)

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
        check_mask(mask, self.shape, of_classes=not isinstance(self.truth.true, LabelMap))
        return self._like(self.curve, _both(self.mask, mask, self.truth.valid))

    def erode(self, size: Window, valid: Tensor) -> Map:
        plain = self.curve is UNBENT and self.mask is self.truth.valid
        if plain and size == 3 and valid is self.truth.valid and len(self.shape) == 4:
            return Eroded(self, valid)
        return super().erode(size, valid)

    def total(self, mask: Tensor) -> Sum:
        return Sum(((1, CurveSum(self.curve, self._within_valid(mask), at_labels=False)),))

    def at(self, where: LabelMap) -> Tensor:
        """g(p) at the labels (N, *S)."""
        return BentMap(self._probs(), self.curve).at(where)

    def total_at(self, where: LabelMap, mask: Tensor) -> Sum:
        """Sum of g(p) at the labels, within mask (N, 1, *S), bool -> (C,)."""
        if not (isinstance(own := self.truth.true, LabelMap) and where.labels is own.labels):
            return BentMap(self._probs(), self.curve).total_at(where, mask)
        within = self._within_valid(_both(where.mask, mask, self.truth.valid))
        return Sum(((1, CurveSum(self.curve, within, at_labels=True)),))

    def total_where(self, where: LabelMap | DenseMap, mask: Tensor) -> Sum:
        """Sum of g(p) where a crisp map holds, within mask (N, 1 or C, *S), bool -> (C,)."""
        return self.total_at(where, mask) if isinstance(where, LabelMap) else self.within(where.values).total(mask)

    def _probs(self) -> Tensor:
        probs = self._source.probs(self.truth.valid)
        return probs if self.mask is self.truth.valid else probs * self.mask

    def _like(self, curve: Curve, mask: Tensor) -> Prediction:
        other = copy.copy(self)
        other.curve, other.mask = curve, mask
        return other

    def _within_valid(self, mask: Tensor) -> Tensor | None:
        """The mask of a sum; None stands for the valid map."""
        check_mask(mask, self.shape, of_classes=not isinstance(self.truth.true, LabelMap))
        within = _both(self.mask, mask, self.truth.valid)
        return None if within is self.truth.valid else within


class _Source:
    """The logits of a prediction, shared by all maps made of it."""

    def __init__(self, logits: Tensor, activation: Activation):
        self.logits, self.activation, self.laid_out = logits, activation, False

    def probs(self, valid: Tensor) -> Tensor:
        self.laid_out = True
        return self.activation.probs(self.logits, valid)


class TrueClassMap(Map):
    """g(m) at the classes of a one-hot map, 0 elsewhere: h_AND of eq. 9, as g leaves a one-hot map as it is."""

    crisp = False

    def __init__(self, m: BentMap | Prediction | Highest, where: LabelMap):
        self.m, self.where, self.shape = m, where, where.shape

    def dense(self) -> Tensor:
        values = self.m.at(self.where).unsqueeze(1) * self.where.mask
        return values.new_zeros(self.shape).scatter(1, self.where.labels.unsqueeze(1).long(), values)

    def within(self, mask: Tensor) -> TrueClassMap:
        return TrueClassMap(self.m, self.where.within(mask))

    def total(self, mask: Tensor) -> Sum:
        return self.m.total_at(self.where, mask)


class SoftUnion(Map):
    """h_OR(p, b) = g(p) + (1 - g(p)) b (eq. 9) of a prediction and a crisp map b, with g(0) = 0 and g(1) = 1."""

    crisp = False

    def __init__(self, m: Prediction, where: LabelMap | DenseMap):
        self.m, self.where, self.shape = m, where, where.shape

    def dense(self) -> Tensor:
        return torch.where(self.where.dense(), 1, self.m.dense())

    def within(self, mask: Tensor) -> SoftUnion:
        where = self.where.within(mask)
        assert isinstance(where, LabelMap | DenseMap)
        return SoftUnion(self.m.within(mask), where)

    def total(self, mask: Tensor) -> Sum:
        """Sum of g(p) where b does not hold, and of 1 where it does."""
        if isinstance(self.where, DenseMap):
            return self.m.within(~self.where.values).total(mask) + self.where.total(mask)
        ((_, everywhere),) = self.m.total(mask).terms
        ((_, there),) = self.m.total_where(self.where, mask).terms
        return Sum(((1, everywhere), (-1, there), *self.where.total(mask).terms))


def _both(a: Tensor, b: Tensor, valid: Tensor) -> Tensor:
    """a AND b of masks within the valid map; without a new tensor where one of them is the other or the valid map."""
    if a is b or b is valid:
        return a
    return b if a is valid else a & b
