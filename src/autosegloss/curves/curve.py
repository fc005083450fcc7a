"""One curve g(y; theta), ready to be applied: g and its slope g' in closed form, in blocks that fit into a cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from autosegloss.curves.family import CurveFamily

_BLOCK = 2**18  # elements that are computed at once
FLOOR = 1e-14  # of the discriminant: a vertical tangent keeps a finite slope, and t errs by 1e-7 at most
_MANY = 0.3  # share of values beyond a knot from which all are computed: picking them would cost more


@dataclass(frozen=True)
class Curve:
    """One curve of a family: its control points (P, 2) are float64 tensors in the memory of the host.

    Example:
        >>> import torch
        >>> from autosegloss.curves import Bezier, Curve
        >>> family = Bezier()
        >>> Curve(family, family.control_points(family.identity()))(torch.tensor([0.0, 0.25, 1.0]))
        tensor([0.0000, 0.2500, 1.0000])
    """

    family: CurveFamily
    points: Tensor

    def __call__(self, y: Tensor) -> Tensor:
        """g(y) elementwise, differentiable once; a crisp (bool) map gives the end values, as float64."""
        if y.dtype == torch.bool:
            return self.of_crisp(y, self.points.dtype)
        return y if self.straight else _Bend.apply(y, self)

    def of_crisp(self, y: Tensor, dtype: torch.dtype) -> Tensor:
        """g(1) where a bool tensor holds, g(0) elsewhere, in a floating point type that its device has."""
        low, high = (y.new_full((), end, dtype=dtype) for end in self.ends)
        return torch.where(y, high, low)

    def read(self, y: Tensor, g: Tensor, slope: Tensor, work: Tensor) -> None:
        """Write g(y) and g'(y) elementwise; g, slope and work have the shape of y and share no memory.

        Each y belongs to the piece with start < y <= end (eq. 13c); y = 0 belongs to the first. Most probabilities of a
        pixel are low. So the CPU picks the few y beyond a knot; on a GPU that choice would wait for the device.
        """
        if self.straight:
            g.copy_(y)
            slope.fill_(1)
        elif self.pieces is None:
            self._differentiate(y, g, slope)
        else:
            self.pieces[0].read(y, g, slope, work)
            for piece in self.pieces[1:]:
                _read_beyond(piece, y, g, slope)

    @property
    def straight(self) -> bool:
        """Whether g(y) = y for every theta."""
        return self.family.straight

    @property
    def fixes_endpoints(self) -> bool:
        """Whether g(0) = 0 and g(1) = 1 (eq. 10)."""
        return self.family.fixes_endpoints

    @cached_property
    def ends(self) -> tuple[float, float]:
        """g(0) and g(1)."""
        return self.points[0, 1].item(), self.points[-1, 1].item()

    @cached_property
    def pieces(self) -> tuple[Piece, ...] | None:
        """The curve as quadratic pieces; None for a family without them. Empty pieces are left out."""
        points = self.family.quadratic(self.points)
        if points is None:
            return None
        flat = [value for point in points.tolist() for value in point]
        corners = (flat[i : i + 6] for i in range(0, len(flat) - 2, 4))
        return tuple(Piece.through(*six) for six in corners if six[4] > six[0])

    def table(self, pieces: int, device: torch.device) -> Tensor:
        """The numbers of the pieces (pieces, 8), float32, on a device; rows behind the last piece match no y."""
        if self.pieces is None:
            raise ValueError(f"{self.family} has no quadratic pieces")
        if (pieces, device) not in self._tables:
            never = Piece(2.0, *self.pieces[-1][1:])
            rows = [*self.pieces, *[never] * (pieces - len(self.pieces))]
            self._tables[pieces, device] = torch.tensor(rows, dtype=torch.float32).to(device)
        return self._tables[pieces, device]

    @cached_property
    def _tables(self) -> dict[tuple[int, torch.device], Tensor]:
        return {}

    def _differentiate(self, y: Tensor, g: Tensor, slope: Tensor) -> None:
        """`read` for a family without quadratic pieces."""
        with torch.enable_grad():
            leaf = y.detach().requires_grad_()
            bent = self.family.evaluate(self.points, leaf)
            slope.copy_(torch.autograd.grad(bent.sum(), leaf)[0])
        g.copy_(bent.detach())


class Piece(NamedTuple):
    """The quadratic Bezier piece of (u0, v0), (u1, v1), (u2, v2), B_2k to B_2k+2 of eq. 12, as terms of its root.

    Eq. 13a, u(s) = y, is solved for s, here t; eq. 13b is then g = v(t). With w = u2 - u0, a = (u1 - u0) / w and
    b = 1 - a the root is t = (y - u0) / (w a + r), where r^2 = w^2 (a^2 + (b^2 - a^2) (y - u0) / w) is written as
    square + rate (y - pole). The pole is the end of the piece at which r is least: both terms are positive, so that
    nothing cancels. g = v + t (bend + t bow), g' = v'(t) / 2 r.
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
        """The piece with these control points."""
        width = u2 - u0
        a, b = (u1 - u0) / width, (u2 - u1) / width
        square, bend = width**2 * max(min(a, b) ** 2, FLOOR), 2 * (v1 - v0)
        pole = u0 if a <= b else u2
        return cls(u0, pole, width * (b**2 - a**2), square, width * a, v0, bend, v2 - v0 - bend)

    def read(self, y: Tensor, g: Tensor, slope: Tensor, work: Tensor) -> None:
        """Write g(y) and g'(y) in few passes over memory; g, slope and work have the shape of y and share no memory."""
        z = torch.sub(y, self.pole, out=work) if self.pole else y
        # A number plus a scaled map is one pass if the number is a tensor.
        r = torch.add(y.new_full((), self.square), z, alpha=self.rate, out=work)
        if self.pole or self.start:
            r.clamp_min_(self.square)  # rounding may put y behind an end, or y belongs to another piece
        r.sqrt_()
        t = torch.add(r, self.offset, out=g)
        torch.div(y - self.start if self.start else y, t, out=t)
        rise = torch.add(y.new_full((), self.bend), t, alpha=self.bow, out=slope)
        g.mul_(rise)
        if self.v:
            g.add_(self.v)
        rise.sub_(self.bend / 2).div_(r)


def _read_beyond(piece: Piece, y: Tensor, g: Tensor, slope: Tensor) -> None:
    """Overwrite g(y) and g'(y) where y lies beyond the start of the piece."""
    picked = _beyond(y, piece.start)
    part = y if picked is None else y.view(-1).index_select(0, picked)
    later = torch.empty_like(part), torch.empty_like(part)
    piece.read(part, *later, work := torch.empty_like(part))
    if picked is None:
        beyond = torch.gt(y, piece.start, out=work)  # as numbers: to choose by bool takes twenty times as long
        for out, values in zip((g, slope), later, strict=True):
            torch.lerp(out, values, beyond, out=out)
    else:
        for out, values in zip((g, slope), later, strict=True):
            out.view(-1).index_copy_(0, picked, values)


def _beyond(y: Tensor, knot: float) -> Tensor | None:
    """The indices into the flat y of values above a knot; None where these are many, or where a GPU would have to wait.

    numpy takes a fifth of the time of torch here; it has no bfloat16.
    """
    if y.device.type != "cpu" or not y.is_contiguous() or y.dtype == torch.bfloat16:
        return None
    array = y.numpy().reshape(-1)
    above = array > array.dtype.type(knot)
    return torch.from_numpy(np.flatnonzero(above)) if np.count_nonzero(above) < _MANY * above.size else None


class _Bend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, curve: Curve) -> Tensor:
        g, slope = torch.empty_like(y), torch.empty_like(y)
        for part, bent, steep in zip(*map(_blocks, (y, g, slope)), strict=True):
            curve.read(part, bent, steep, torch.empty_like(part))
        ctx.save_for_backward(slope)
        return g

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return slope * gradient, None


def _blocks(m: Tensor) -> Iterator[Tensor]:
    """A map (N, C, *S) in blocks of whole rows."""
    if m.device.type != "cpu" or m.numel() <= _BLOCK or m.ndim < 3:
        yield m
        return
    rows = max(1, _BLOCK * m.shape[2] // m[0].numel())
    for image in m.split(1):
        yield from image.split(rows, dim=2)
