"""Curves by plain operations of torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autosegloss.curves.curve import FLOOR, Curve


@dataclass(frozen=True, eq=False)
class PlainCurve(Curve):
    """A curve that can be differentiated twice, by its control points too, and transformed by torch.func; slower.

    Example:
        >>> import torch
        >>> from autosegloss.curves import Bezier, PlainCurve
        >>> theta = torch.full((6,), 0.5, requires_grad=True)
        >>> curve = PlainCurve(Bezier(), Bezier().control_points(theta))
        >>> torch.autograd.grad(curve(torch.tensor([0.5])), theta)[0].shape
        torch.Size([6])
    """

    def __call__(self, y: Tensor) -> Tensor:
        if y.dtype == torch.bool:
            return self.of_crisp(y, self.points.dtype)
        if self.straight:
            return y
        points = self.family.quadratic(self.points)
        if points is None:
            return self.family.evaluate(self.points.to(y.dtype), y)
        g = _piece(points[:3], y)
        for first in range(2, len(points) - 1, 2):  # an empty piece is overwritten by the next
            g = torch.where(y > points[first, 0], _piece(points[first : first + 3], y), g)
        return g

    def of_crisp(self, y: Tensor, dtype: torch.dtype) -> Tensor:
        low, high = self.points[[0, -1], 1].to(dtype).unbind()
        return torch.where(y, high, low)


def _piece(corners: Tensor, y: Tensor) -> Tensor:
    """`Piece.read` through three control points (3, 2), finite for every y and every width."""
    (u0, u1, u2), (v0, v1, v2) = (row.unbind() for row in corners.unbind(dim=1))
    width = torch.where(u2 > u0, u2 - u0, 1)
    a, b = (u1 - u0) / width, (u2 - u1) / width
    from_start = a <= b
    pole, least = torch.where(from_start, u0, u2), torch.where(from_start, a, b)
    square, rate, bend = width**2 * (least**2).clamp_min(FLOOR), width * (b**2 - a**2), 2 * (v1 - v0)
    start, pole, rate, square, offset, v, bend, bow = (
        number.to(y.dtype) for number in (u0, pole, rate, square, width * a, v0, bend, v2 - v0 - bend)
    )
    z = square + rate * (y - pole)
    t = (y - start) / (torch.where(z < square, square, z).sqrt() + offset)
    return v + t * (bend + t * bow)
