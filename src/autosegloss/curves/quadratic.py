"""Curves as quadratic pieces: g and g' in closed form, without a gradient to be taken through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_FLOOR = 1e-14  # of the discriminant: a vertical tangent keeps a finite slope, and t errs by 1e-7 at most


class Piece(NamedTuple):
    """The quadratic Bezier piece through (u0, v0), (u1, v1), (u2, v2), as the coefficients of its root.

    With w = u2 - u0, a = (u1 - u0) / w and b = 1 - a, u(t) = y has the root t = (y - u0) / (w a + r), where
    r^2 = w^2 (a^2 + (b^2 - a^2) (y - u0) / w) is written as square + rate (y - pole), pole being the end of the piece
    at which r is least: both terms are positive, so that nothing cancels. g = v + t (bend + t bow), g' = v'(t) / 2 r.
    """

    start: float
    pole: float
    rate: float
    square: float
    offset: float
    v: float
    bend: float
    bow: float

    @classmethod
    def through(cls, u0: float, v0: float, u1: float, v1: float, u2: float, v2: float) -> Piece:
        width = u2 - u0
        a, b = (u1 - u0) / width, (u2 - u1) / width
        square, bend = width**2 * max(min(a, b) ** 2, _FLOOR), 2 * (v1 - v0)
        pole = u0 if a <= b else u2
        return cls(u0, pole, width * (b**2 - a**2), square, width * a, v0, bend, v2 - v0 - bend)

    def read(self, y: Tensor, g: Tensor, slope: Tensor, work: Tensor) -> None:
        """Write g(y) and g'(y), in few passes over memory; g, slope and work are of the shape of y and share none."""
        z = torch.sub(y, self.pole, out=work) if self.pole else y
        # A number plus a scaled map is one pass where the number is a tensor.
        r = torch.add(y.new_full((), self.square), z, alpha=self.rate, out=work)
        if self.pole != self.start:
            r.clamp_min_(self.square)  # a y that rounding has put behind the end
        r.sqrt_()
        t = torch.add(r, self.offset, out=g)
        torch.div(y - self.start if self.start else y, t, out=t)
        rise = torch.add(y.new_full((), self.bend), t, alpha=self.bow, out=slope)
        g.mul_(rise)
        if self.v:
            g.add_(self.v)
        rise.sub_(self.bend / 2).div_(r)


def pieces_through(points: Tensor) -> tuple[Piece, ...]:
    """The pieces of the curve with control points (2n+1, 2); empty ones take no y and are left out."""
    flat = [value for point in points.tolist() for value in point]
    corners = (flat[i : i + 6] for i in range(0, len(flat) - 2, 4))
    return tuple(Piece.through(*six) for six in corners if six[4] > six[0])


def read(pieces: Sequence[Piece], y: Tensor, g: Tensor, slope: Tensor, work: Tensor) -> None:
    """`Piece.read` of the piece that each y falls into, start < y <= end; y = 0 is in the first.

    Most probabilities of a pixel are low, so that on a CPU those beyond a knot are picked out; to ask a GPU which they
    are would wait for it.
    """
    pieces[0].read(y, g, slope, work)
    for piece in pieces[1:]:
        picked = _beyond(y, piece.start)
        part = y if picked is None else y.view(-1).index_select(0, picked)
        later = torch.empty_like(part), torch.empty_like(part)
        piece.read(part, *later, torch.empty_like(part))
        beyond = y > piece.start if picked is None else None
        for out, values in zip((g, slope), later, strict=True):
            if picked is None:
                torch.where(beyond, values, out, out=out)
            else:
                out.view(-1).index_copy_(0, picked, values)


def _beyond(y: Tensor, knot: float) -> Tensor | None:
    """Where y exceeds a knot, as indices into y laid flat; None where that is not to be asked.

    numpy takes a fifth of the time of torch here.
    """
    if y.device.type != "cpu" or not y.is_contiguous() or y.dtype == torch.bfloat16:  # numpy has no bfloat16
        return None
    array = y.numpy().reshape(-1)
    return torch.from_numpy(np.flatnonzero(array > array.dtype.type(knot)))
