"""The contract of a curve family: g(y; theta) bends the operands of AND and OR (section 4.1 of the paper)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor

from autosegloss.registry import Registered


class CurveFamily(Registered, ABC):
    """Curves g: [0, 1] -> [0, 1] with K parameters in an interval.

    The interval says from which distribution a search draws the parameters: a normal distribution truncated to it. On
    the real line that is a normal distribution without truncation.

    A family keeps to the truth table (eq. 10), g(0) = 0 and g(1) = 1, and is increasing (eq. 11), unless an option
    frees it. Concrete families are frozen dataclasses with a `name`.
    """

    kind: ClassVar[str] = "curve"
    interval: ClassVar[tuple[float, float]] = (0.0, 1.0)  # of each parameter: two numbers, or -inf and inf
    straight: ClassVar[bool] = False  # g(y) = y for every theta
    stated: ClassVar[Mapping[str, str]] = MappingProxyType({})  # options that a theta card must state, and their values

    @property
    @abstractmethod
    def num_parameters(self) -> int:
        """K, the number of parameters of one curve."""

    @abstractmethod
    def identity(self) -> Tensor:
        """The theta (K,) for which g(y) = y; the search starts there."""

    @abstractmethod
    def control_points(self, theta: Tensor) -> Tensor:
        """Points (..., P, 2) of curves with parameters theta (..., K); the first is at y = 0, the last at y = 1."""

    def quadratic(self, points: Tensor) -> Tensor | None:
        """Control points (2n+1, 2) of ONE curve as n quadratic Bezier pieces: each has a start, a handle and an end.

        Such a curve is computed fast, on a GPU by kernels. The default, None, is for curves that have `evaluate`.
        """
        return None

    def evaluate(self, points: Tensor, y: Tensor) -> Tensor:
        """g(y) elementwise for ONE curve without `quadratic`; its gradient is finite for y in [0, 1], ends included."""
        raise TypeError(f"{type(self).__name__} must have `quadratic` or `evaluate`")

    def likely(self, thetas: Iterable[Tensor]) -> Mapping[str, Any]:
        """The values of `stated` that the thetas of a card, which does not state them, were most likely found with."""
        return {}

    @property
    def fixes_endpoints(self) -> bool:
        """Whether g(0) = 0 and g(1) = 1 for every theta."""
        return True
