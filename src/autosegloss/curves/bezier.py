"""Piecewise quadratic Bezier curves, the paper's parameterisation (section 4.2), and the ablations of its Table 5."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from autosegloss.curves.family import CurveFamily
from autosegloss.errors import whole_number

# Control points lie on a grid: a piece is at least one step wide or empty, so that widths are exact in float32 and no
# slope overflows, however close two points come. Inner points keep one step from the ends, so that a jump at an end
# is a steep piece and the truth table holds: g(0) = 0 and g(1) = 1.
_STEP = 2.0**-20
_FLOOR = 1e-14  # of the discriminant: a vertical tangent keeps a finite slope, and t errs by 1e-7 at most


@dataclass(frozen=True)
class Bezier(CurveFamily):
    """Quadratic Bezier curve of n pieces with inner points P_k = 1 - prod_{j<=k} (1 - theta_j), k = 1 .. 2n-1.

    Each pair (u, v) of theta is relative to the remaining distance to (1, 1), which keeps g increasing.
    `monotone=False` reads v as an absolute height; `truth_table=False` frees g(0) and g(1) by two numbers more. With
    free ends scores are not bounded, so that a loss may leave [0, 1]: a union can vanish where its intersection stays.
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
        """theta_k = 1 / (2n + 1 - k): equal steps along the diagonal; free ends start at (0, 1)."""
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

    def evaluate(self, points: Tensor, y: Tensor) -> Tensor:
        """g(y) = v0 + 2 t (1-t) (v1-v0) + t^2 (v2-v0) on the piece with u0 < y <= u2, where t solves u(t) = y.

        With s = (y-u0)/(u2-u0) and a = (u1-u0)/(u2-u0) the root is t = s / (a + sqrt(a^2 (1-s) + (1-a)^2 s)): the
        rationalised form, which cancels nowhere, neither at a = 1/2 nor at a = s = 1.
        """
        points = points.to(y)
        start, handle, end = points[:-2:2], points[1::2], points[2::2]
        width = end[:, 0] - start[:, 0]
        width = torch.where(width > 0, width, 1)  # no y falls into an empty piece
        a, b = (handle - start)[:, 0] / width, (end - handle)[:, 0] / width  # a + b = 1
        pick = _pieces(y, end[:-1, 0])
        s = (y - pick(start[:, 0])) / pick(width)
        t = s / (pick(a) + (pick(a * a) * (1 - s) + pick(b * b) * s).clamp_min(_FLOOR).sqrt())
        rise, bend = (end - start)[:, 1], 2 * (handle - start)[:, 1]
        return pick(start[:, 1]) + t * ((1 - t) * pick(bend) + t * pick(rise))

    def value(self, points: Tensor, y: Tensor) -> Tensor:
        return _by_piece(points, y, _Piece.value)

    def slope(self, points: Tensor, y: Tensor) -> Tensor:
        """g'(y) = v'(t) / u'(t) = (v1 - v0 + t ((v2 - v1) - (v1 - v0))) / ((u2 - u0) sqrt(a^2 (1-s) + (1-a)^2 s))."""
        return _by_piece(points, y, _Piece.slope)


class _Piece(NamedTuple):
    """One quadratic piece: where it starts, its width, a and 1 - a, and its height, 2 (v1 - v0) and v2 - v0."""

    u: float
    width: float
    a: float
    b: float
    v: float
    bend: float
    rise: float

    def _root(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """t, and the root of the discriminant; few passes over memory, so most of it in place."""
        s = (y - self.u).div_(self.width)  # exactly 1 at the end of the piece: the root is steep there
        root = torch.rsub(s, 1).mul_(self.a**2).add_(s, alpha=self.b**2).clamp_min_(_FLOOR).sqrt_()
        return s.div_(root + self.a), root

    def value(self, y: Tensor) -> Tensor:
        t, _ = self._root(y)
        return (t * (self.rise - self.bend)).add_(self.bend).mul_(t).add_(self.v)

    def slope(self, y: Tensor) -> Tensor:
        t, root = self._root(y)
        return t.mul_(2 * (self.rise - self.bend)).add_(self.bend).div_(root.mul_(2 * self.width))


def _by_piece(points: Tensor, y: Tensor, read: Callable[[_Piece, Tensor], Tensor]) -> Tensor:
    """`read` of the piece that each y falls into; empty pieces take none, and the first y = 0 as well."""
    flat = [value for point in points.tolist() for value in point]
    pieces = [
        _Piece(u0, u2 - u0, (u1 - u0) / (u2 - u0), (u2 - u1) / (u2 - u0), v0, 2 * (v1 - v0), v2 - v0)
        for u0, v0, u1, v1, u2, v2 in (flat[i : i + 6] for i in range(0, len(flat) - 2, 4))
        if u2 > u0
    ]
    if y.device.type != "cpu":  # to pick pixels out would wait for the device
        result = read(pieces[0], y)
        for piece in pieces[1:]:
            result = torch.where(y > piece.u, read(piece, y), result)
        return result
    left = y.reshape(-1)
    result = read(pieces[0], left)
    where = None
    for piece in pieces[1:]:  # of the probabilities of a pixel few are high: later pieces have few of them
        beyond = (left > piece.u).nonzero().squeeze(1)
        left = left.index_select(0, beyond)
        where = beyond if where is None else where.index_select(0, beyond)
        result.index_copy_(0, where, read(piece, left))
    return result.view(y.shape)


def _pieces(y: Tensor, knots: Tensor) -> Callable[[Tensor], Tensor]:
    """A function that picks for every y the value (of n values) of the piece it falls into, given n-1 inner knots."""
    beyond = [y > knot for knot in knots]  # a few comparisons are faster than indexing with a map of pieces

    def pick(values: Tensor) -> Tensor:
        picked = values[0]
        for later, value in zip(beyond, values[1:], strict=True):
            picked = torch.where(later, value, picked)
        return picked

    return pick
