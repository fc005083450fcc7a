"""Curves applied to maps, in blocks that fit into a processor's cache; their slope is kept for the gradient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from autosegloss.curves.family import CurveFamily
from autosegloss.curves.quadratic import Piece, pieces_through, read

_BLOCK = 2**18  # elements that are bent at once


@dataclass(frozen=True)
class Curve:
    """One curve, ready to be applied: its family and its control points (P, 2), float64 in the memory of the host."""

    family: CurveFamily
    points: Tensor

    def __call__(self, y: Tensor) -> Tensor:
        """g(y) elementwise; a crisp (bool) map takes the end values only, as float64, so that it costs no curve."""
        if y.dtype == torch.bool:
            return torch.where(y, self.points[-1, 1], self.points[0, 1])
        return y if self.family.straight else _Bend.apply(y, self)

    def read(self, y: Tensor, g: Tensor, slope: Tensor, work: Tensor) -> None:
        """Write g(y) and g'(y) elementwise; g, slope and work are of the shape of y and share no memory."""
        if self.pieces is not None:
            return read(self.pieces, y, g, slope, work)
        with torch.enable_grad():
            leaf = y.detach().requires_grad_()
            bent = self.family.evaluate(self.points, leaf)
            slope.copy_(torch.autograd.grad(bent.sum(), leaf)[0])
        g.copy_(bent.detach())

    @property
    def keeps_truth(self) -> bool:
        """Whether g(0) = 0 and g(1) = 1."""
        return self.family.keeps_truth

    @cached_property
    def pieces(self) -> tuple[Piece, ...] | None:
        """The curve as quadratic pieces, if it is made of such."""
        points = self.family.quadratic(self.points)
        return None if points is None else pieces_through(points)

    def table(self, pieces: int, device: torch.device) -> Tensor:
        """The numbers of the pieces (pieces, 8), float32, on a device; behind the last stand some that no y meets."""
        if (pieces, device) not in self._tables:
            never = Piece(2.0, *self.pieces[-1][1:])
            rows = [*self.pieces, *[never] * (pieces - len(self.pieces))]
            self._tables[pieces, device] = torch.tensor(rows, dtype=torch.float32).to(device)
        return self._tables[pieces, device]

    @cached_property
    def _tables(self) -> dict[tuple[int, torch.device], Tensor]:
        return {}


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
