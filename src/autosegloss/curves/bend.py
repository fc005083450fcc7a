"""Curves applied to maps: in blocks that fit into a processor's cache, keeping nothing but the map for the gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autosegloss.curves.family import CurveFamily

_BLOCK = 2**17  # elements that are bent at once
_values_wanted: ContextVar[bool] = ContextVar("values_wanted", default=True)


@contextmanager
def gradients_only() -> Iterator[None]:
    """Here the value of a total is not asked for, only its gradient: it is 0 and costs nothing."""
    token = _values_wanted.set(False)
    try:
        yield
    finally:
        _values_wanted.reset(token)


@dataclass(frozen=True)
class Curve:
    """One curve, ready to be applied: its family and its control points (P, 2), float64 in the memory of the host."""

    family: CurveFamily
    points: Tensor

    def __call__(self, y: Tensor) -> Tensor:
        """g(y) elementwise; a crisp (bool) map takes the end values only, as float64, so that it costs no curve."""
        if y.dtype == torch.bool:
            return torch.where(y, self.points[-1, 1], self.points[0, 1])
        if torch.compiler.is_compiling():
            return self.family.evaluate(self.points, y)  # the compiler fuses it, and its gradient
        return _Bend.apply(y, self)

    def total(self, y: Tensor) -> Tensor:
        """Sum of g(y) over images and pixels (C,) of a map (N, C, *S)."""
        if torch.compiler.is_compiling():
            return self(y).sum(dim=(0, *range(2, y.ndim)))
        return _Total.apply(y, self)

    @property
    def keeps_truth(self) -> bool:
        """Whether g(0) = 0 and g(1) = 1."""
        return self.points[0, 1].item() == 0 and self.points[-1, 1].item() == 1


class _Bend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, curve: Curve) -> Tensor:
        ctx.save_for_backward(y)
        ctx.curve = curve
        result = torch.empty_like(y)
        for part, out in zip(_blocks(y), _blocks(result), strict=True):
            out.copy_(curve.family.value(curve.points, part))
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        result = torch.empty_like(y)
        for part, out in zip(_blocks(y), _blocks(result), strict=True):
            out.copy_(ctx.curve.family.slope(ctx.curve.points, part))
        return result.mul_(gradient), None


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, curve: Curve) -> Tensor:
        ctx.save_for_backward(y)
        ctx.curve = curve
        total = y.new_zeros(y.shape[1])
        if _values_wanted.get():
            for part in _blocks(y):
                total += curve.family.value(curve.points, part).sum(dim=(0, *range(2, y.ndim)))
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        gradient = gradient.view(-1, *[1] * (y.ndim - 2))
        result = torch.empty_like(y)
        for part, out in zip(_blocks(y), _blocks(result), strict=True):
            torch.mul(ctx.curve.family.slope(ctx.curve.points, part), gradient, out=out)
        return result, None


def _blocks(m: Tensor) -> Iterator[Tensor]:
    """A map (N, C, *S) in blocks of whole rows; a GPU has it in one piece."""
    if m.ndim < 3 or m.device.type != "cpu" or m.numel() <= _BLOCK:
        yield m
        return
    rows = max(1, _BLOCK * m.shape[2] // max(1, m[0].numel()))
    for image in m.split(1):
        yield from image.split(rows, dim=2)
