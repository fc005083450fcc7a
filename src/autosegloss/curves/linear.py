"""Piecewise linear curves (appendix B of the paper) and the curve without parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from autosegloss.curves.family import CurveFamily
from autosegloss.errors import positive, whole_number


@dataclass(frozen=True)
class Linear(CurveFamily):
    """n linear pieces of equal width (eq. 15-17), increasing from 0 to 1.

    The points are A_k = (k / n, v_k), with rises v_{k+1} - v_k = softmax_k(scale * theta). Theta is any n real numbers:
    a search draws them from a normal distribution without truncation (appendix B). The theta_k of the paper, whose mean
    is 1, are n times the rises.

    Args:
        pieces: n.
        scale: the factor before the softmax, 1 in the paper. Cards of earlier versions have 5, and theta in [0, 1].

    Raises:
        InputError: unless pieces is an integer of 1 or more and scale a number above 0.

    Example:
        >>> import torch
        >>> from autosegloss.curves import Linear
        >>> Linear(pieces=2).control_points(torch.tensor([3.0, 3.0]))
        tensor([[0.0000, 0.0000],
                [0.5000, 0.5000],
                [1.0000, 1.0000]])
    """

    name: ClassVar[str] = "linear"
    interval: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    stated: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"scale": "1 where theta are the numbers before the softmax, 5 for numbers in [0, 1] of an earlier version"}
    )
    pieces: int = 5
    scale: float = 1.0

    def __post_init__(self):
        whole_number("pieces", self.pieces, least=1)
        positive("scale", self.scale)

    @property
    def num_parameters(self) -> int:
        return self.pieces

    def identity(self) -> Tensor:
        return torch.zeros(self.pieces, dtype=torch.float64)

    def likely(self, thetas: Iterable[Tensor]) -> Mapping[str, Any]:
        return {"scale": 5.0 if all(bool(((theta >= 0) & (theta <= 1)).all()) for theta in thetas) else 1.0}

    def control_points(self, theta: Tensor) -> Tensor:
        rises = torch.softmax(self.scale * theta, dim=-1).cumsum(dim=-1)[..., :-1]
        v = torch.cat([torch.zeros_like(theta[..., :1]), rises, torch.ones_like(theta[..., :1])], dim=-1)
        u = torch.linspace(0, 1, self.pieces + 1, dtype=theta.dtype, device=theta.device)
        return torch.stack([u.expand_as(v), v], dim=-1)

    def quadratic(self, points: Tensor) -> Tensor:
        """g(y) = (1 - s) v_k + s v_{k+1}, s = n y - k, k = floor(n y) (eq. 16): a line has its handle in the middle."""
        handles = (points[:-1] + points[1:]) / 2
        return torch.cat([torch.stack([points[:-1], handles], dim=1).flatten(0, 1), points[-1:]])


@dataclass(frozen=True)
class Identity(CurveFamily):
    """g(y) = y, no parameters: the paper's naive surrogate (first row of Table 5)."""

    name: ClassVar[str] = "identity"
    straight: ClassVar[bool] = True

    @property
    def num_parameters(self) -> int:
        return 0

    def identity(self) -> Tensor:
        return torch.empty(0, dtype=torch.float64)

    def control_points(self, theta: Tensor) -> Tensor:
        ends = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=theta.dtype, device=theta.device)
        return ends.expand(*theta.shape[:-1], 2, 2)

    def quadratic(self, points: Tensor) -> Tensor:
        return torch.stack([points[0], points.mean(dim=0), points[1]])
