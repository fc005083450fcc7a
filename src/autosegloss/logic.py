"""Two readings of AND, OR and XOR: exact on crisp maps, smooth and bent by curves on probabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from autosegloss.curves import Curve


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

    def _bend(self, name: str, *operands: Tensor) -> list[Tensor]:
        curves = self.curves.get(name)
        if not curves:
            return [m.to(torch.get_default_dtype()) if m.dtype == torch.bool else m for m in operands]
        return [curves[min(i, len(curves) - 1)](m) for i, m in enumerate(operands)]

    def and_(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        a, b = self._bend(name, a, b)
        return a * b

    def or_(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        a, b = self._bend(name, a, b)
        return a + b - a * b

    def xor(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        # With two different curves OR - AND dips below 0 at a few pixels; a negative boundary has no meaning.
        return (self.or_(f"{name}_or", a, b) - self.and_(f"{name}_and", a, b)).clamp_min(0)
