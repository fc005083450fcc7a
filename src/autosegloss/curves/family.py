"""The contract of a curve family: g(y; theta) bends the operands of AND and OR (section 3.2 of the paper)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Curve:
    """One curve, ready to be applied: its family and its control points (P, 2)."""

    family: CurveFamily
    points: Tensor

    def __call__(self, y: Tensor) -> Tensor:
        """g(y); a crisp (bool) map takes the end values only, so that it costs no curve."""
        if y.dtype == torch.bool:
            return torch.where(y, self.points[-1, 1], self.points[0, 1])
        return self.family.evaluate(self.points.to(y.dtype), y)
