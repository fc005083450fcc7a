"""The contract of a curve family: g(y; theta) bends the operands of AND and OR (section 3.2 of the paper)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from autosegloss.registry import Registered


class CurveFamily(Registered, ABC):
    """Curves g: [0,1] -> [0,1] with K parameters in [0,1]; increasing, g(0) = 0, g(1) = 1 unless set free."""

    kind: ClassVar[str] = "curve"

    @property
    @abstractmethod
    def num_parameters(self) -> int:
        """K, the numbers one curve takes."""

    @abstractmethod
    def identity(self) -> Tensor:
        """The theta (K,) for which g(y) = y; the search starts there."""

    @abstractmethod
    def control_points(self, theta: Tensor) -> Tensor:
        """Points (..., P, 2) of curves with parameters theta (..., K); the first is at y = 0, the last at y = 1."""

    @abstractmethod
    def evaluate(self, points: Tensor, y: Tensor) -> Tensor:
        """g(y) elementwise for ONE curve with control points (P, 2); finite gradients for y in [0,1], ends included."""

    def value(self, points: Tensor, y: Tensor) -> Tensor:
        """What `evaluate` gives, without a gradient: a family may have a cheaper way."""
        return self.evaluate(points, y)

    def slope(self, points: Tensor, y: Tensor) -> Tensor:
        """g'(y) elementwise, the gradient of `evaluate`: a family may have it in closed form."""
        with torch.enable_grad():
            leaf = y.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.evaluate(points, leaf).sum(), leaf)
        return slope
