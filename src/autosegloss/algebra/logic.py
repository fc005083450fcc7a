"""Two readings of AND, OR and XOR: exact on crisp maps, smooth and bent by curves on probabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from autosegloss.algebra.labelmap import LabelMap, LazyMap
from autosegloss.algebra.softmap import AtLabels, Probabilities, SoftUnion
from autosegloss.curves import Curve, Identity


class Logic(ABC):
    """The operations a formula is written in; each call names the operation, so that each has a curve of its own."""

    @abstractmethod
    def and_(self, name: str, a: Tensor, b: Tensor) -> Tensor: ...

    @abstractmethod
    def or_(self, name: str, a: Tensor, b: Tensor) -> Tensor: ...

    @abstractmethod
    def xor(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        """XOR = OR and not AND; it is made of the two operations `{name}_and` and `{name}_or`."""


class ExactLogic(Logic):
    """The truth tables, on bool maps: the evaluation metric."""

    def and_(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        return a & b

    def or_(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        return a | b

    def xor(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        return a ^ b


class SoftLogic(Logic):
    """The truth tables interpolated and bent (eq. 7-9), on maps in [0,1]: the surrogate.

    AND(a, b) = g(a) g(b); OR(a, b) = g(a) + g(b) - g(a) g(b), g being the curve of the operation. An operation
    has one curve for both operands, or two, one per operand; without a curve it is not bent.
    """

    def __init__(self, curves: Mapping[str, Sequence[Curve]]):
        self.curves = curves

    def _curves(self, name: str) -> tuple[Curve, Curve]:
        """The curves of both operands."""
        curves = self.curves.get(name) or [_UNBENT]
        return curves[0], curves[-1]

    def and_(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        first, second = self._curves(name)
        if isinstance(b, LabelMap) and isinstance(a, Tensor | Probabilities) and second.keeps_truth:
            return AtLabels(first, a, b)
        if isinstance(a, LabelMap) and isinstance(b, Tensor | Probabilities) and first.keeps_truth:
            return AtLabels(second, b, a)
        a, b = _bent(a, b, first, second)
        return a * b

    def or_(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        first, second = self._curves(name)
        if isinstance(b, LabelMap) and isinstance(a, Probabilities) and first.keeps_truth and second.keeps_truth:
            return SoftUnion(first, a, b)
        a, b = _bent(a, b, first, second)
        return a + b - a * b

    def xor(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        # With two different curves OR - AND dips below 0 at a few pixels; a negative boundary has no meaning.
        either, both = (_bent(a, b, *self._curves(f"{name}_{part}")) for part in ("or", "and"))
        return _Xor.apply(*either, *both)


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


_UNBENT = Curve(Identity(), torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64))


def _bent(a: Tensor, b: Tensor, first: Curve, second: Curve) -> tuple[Tensor, Tensor]:
    """g(a) and g(b), both laid out and of the type of the one that is not crisp."""
    a, b = (m.dense() if isinstance(m, LazyMap) else m for m in (a, b))
    types = [m.dtype for m in (a, b) if m.is_floating_point()] or [torch.get_default_dtype()]
    return _of_type(first, a, types[0]), _of_type(second, b, types[-1])


def _of_type(curve: Curve, m: Tensor, dtype: torch.dtype) -> Tensor:
    crisp = m.dtype == torch.bool and curve.keeps_truth
    return m.to(dtype) if crisp else curve(m).to(dtype)
