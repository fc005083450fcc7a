"""Piecewise linear curves (appendix B of the paper) and the curve without parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autosegloss.curves.family import CurveFamily
from autosegloss.errors import positive, whole_number


@dataclass(frozen=True)
class Linear(CurveFamily):
    """n linear pieces of equal width (appendix B) with rises softmax(scale * theta): increasing from 0 to 1.

    Args:
        pieces: n.
        scale: maps theta in [0, 1] to logits; the steepest piece can rise exp(scale) times the flattest.

    Raises:
        InputError: unless pieces is an integer of 1 or more and scale a number above 0.

    Example:
        >>> import torch
        >>> from autosegloss.curves import Linear
        >>> Linear(pieces=2).control_points(torch.tensor([0.5, 0.5]))
        tensor([[0.0000, 0.0000],
                [0.5000, 0.5000],
                [1.0000, 1.0000]])
    """

    name: ClassVar[str] = "linear"
    pieces: int = 5
    scale: float = 5.0

    def __post_init__(self):
        whole_number("pieces", self.pieces, least=1)
        positive("scale", self.scale)

    @property
    def num_parameters(self) -> int:
        return self.pieces

    def identity(self) -> Tensor:
        return torch.full((self.pieces,), 0.5, dtype=torch.float64)

    def control_points(self, theta: Tensor) -> Tensor:
        rises = torch.softmax(self.scale * theta, dim=-1).cumsum(dim=-1)[..., :-1]
        v = torch.cat([torch.zeros_like(theta[..., :1]), rises, torch.ones_like(theta[..., :1])], dim=-1)
        u = torch.linspace(0, 1, self.pieces + 1, dtype=theta.dtype, device=theta.device)
        return torch.stack([u.expand_as(v), v], dim=-1)

    def quadratic(self, points: Tensor) -> Tensor:
        """g(y) = v_i + (n y - i) (v_{i+1} - v_i) with i = floor(n y): a line has its handle in the middle."""
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
