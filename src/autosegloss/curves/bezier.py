"""Piecewise quadratic Bezier curves: the paper's parameterisation (section 4.2) and the ablations of its Table 5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autosegloss.curves.family import CurveFamily
from autosegloss.errors import whole_number

# Control points lie on a grid: a piece is at least one step wide or empty. So widths are exact in float32, and no slope
# overflows, however close two points come. Inner points keep one step from the ends: a jump at an end is then a steep
# piece, and the truth table holds: g(0) = 0 and g(1) = 1.
_STEP = 2.0**-20


@dataclass(frozen=True)
class Bezier(CurveFamily):
    """Bezier curve of n quadratic pieces (eq. 12-13), inner points B_i = 1 - prod_{j<=i} (1 - theta_j), i = 1 .. 2n-1.

    The points of piece k are B_2k, B_2k+1, B_2k+2; B_0 = (0, 0) and B_2n = (1, 1) are fixed (eq. 10). Each pair
    theta_i = (u, v) is the share of the remaining distance, (B_i - B_{i-1}) / (B_2n - B_{i-1}), so that any theta in
    [0, 1] keeps u and v in order, and g increasing (eq. 11).

    Args:
        pieces: n.
        truth_table: g(0) = 0 and g(1) = 1 (eq. 10). False frees both ends by two more numbers: scores are no longer
            bounded, so that a loss may leave [0, 1], as a union can vanish where its intersection stays.
        monotone: False reads v as an absolute height.

    Raises:
        InputError: unless pieces is an integer of 1 or more.

    Example:
        >>> from autosegloss.curves import Bezier
        >>> Bezier(pieces=2).num_parameters, Bezier(pieces=1).identity()
        (6, tensor([0.5000, 0.5000], dtype=torch.float64))
    """

    name: ClassVar[str] = "bezier"
    pieces: int = 2
    truth_table: bool = True
    monotone: bool = True

    def __post_init__(self):
        whole_number("pieces", self.pieces, least=1)

    @property
    def num_inner(self) -> int:
        return 2 * self.pieces - 1

    @property
    def num_parameters(self) -> int:
        return 2 * self.num_inner + (0 if self.truth_table else 2)

    def identity(self) -> Tensor:
        """theta_i = 1 / (2n + 1 - i): equal steps along the diagonal, g(y) = y; free ends start at (0, 1)."""
        k = torch.arange(1, self.num_inner + 1, dtype=torch.float64)
        u = 1 / (self.num_inner + 2 - k)
        v = u if self.monotone else k / (self.num_inner + 1)
        ends = torch.tensor([] if self.truth_table else [0.0, 1.0], dtype=torch.float64)
        return torch.cat([torch.stack([u, v], dim=-1).flatten(), ends])

    def control_points(self, theta: Tensor) -> Tensor:
        inner = theta[..., : 2 * self.num_inner].unflatten(-1, (self.num_inner, 2))
        relative = 1 - torch.cumprod(1 - inner, dim=-2)
        heights = relative[..., 1] if self.monotone else inner[..., 1]
        ends = torch.zeros_like(heights[..., :1]), torch.ones_like(heights[..., :1])
        u = torch.cat([ends[0], relative[..., 0].clamp(_STEP, 1 - _STEP), ends[1]], dim=-1)
        v = torch.cat([ends[0], heights, ends[1]], dim=-1)
        if not self.truth_table:
            start, rise = theta[..., -2:-1], (1 - theta[..., -2:-1]) * theta[..., -1:]
            v = start + rise * v
        return torch.round(torch.stack([u, v], dim=-1) / _STEP) * _STEP

    def theta_of(self, points: Tensor) -> Tensor:
        """The theta (..., K) of absolute inner control points (..., 2n-1, 2), the inverse of `control_points`."""
        before = torch.cat([torch.zeros_like(points[..., :1, :]), points[..., :-1, :]], dim=-2)
        return ((points - before) / (1 - before)).flatten(-2)

    def quadratic(self, points: Tensor) -> Tensor:
        return points

    @property
    def fixes_endpoints(self) -> bool:
        return self.truth_table
