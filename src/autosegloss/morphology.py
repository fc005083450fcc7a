"""Min and max pooling of maps (N, C, *S) that know neither the image border nor ignored pixels.

Pooling is geodesic: only valid pixels inside the image take part, so that neither the border of the image nor that
of an ignored region makes a boundary. A cube is pooled one axis after the other, and a window of size k is put together
from windows of 1, 2, 4, ... pixels: the values are the same, in log2(k) comparisons per axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_BLOCK = 2**17  # elements whose gradient is found at once


def dilate(m: Tensor, size: int) -> Tensor:
    """MaxPool over a cube of odd side `size`, stride 1; m is bool, or float in [0, 1], and empty where ignored."""
    if not isinstance(m, Tensor):
        return m.dilate(size)
    if m.requires_grad and not torch.compiler.is_compiling():
        return _Dilate.apply(m, size)
    for axis in range(2, m.ndim):
        m = running(torch.maximum, m, size, axis)
    return m


class _Dilate(torch.autograd.Function):
    """Keeps the map alone; for the gradient maps of one class of one image are taken as many as fit into a cache.

    Of equal pixels the first has the gradient.
    """

    @staticmethod
    def forward(ctx: Any, m: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(m)
        ctx.size = size
        for axis in range(2, m.ndim):
            m = running(torch.maximum, m, size, axis)
        return m

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (m,) = ctx.saved_tensors
        m, gradient = m.contiguous(), gradient.contiguous()
        result = torch.empty_like(m)
        together = max(1, _BLOCK // max(1, m[:1, :1].numel()))
        planes = (x.flatten(0, 1).unsqueeze(1).split(together) for x in (m, gradient, result))
        for plane, upstream, out in zip(*planes, strict=True):
            stages = [plane]
            for axis in range(2, m.ndim):
                stages.append(running(torch.maximum, stages[-1], ctx.size, axis))
            for axis in reversed(range(2, m.ndim)):
                upstream = _routed(stages[axis - 2], upstream, ctx.size, axis)
            out.copy_(upstream)
        return result, None


def _routed(m: Tensor, gradient: Tensor, size: int, axis: int) -> Tensor:
    """The gradient of a running maximum along one axis by its argument m."""
    levels, window = [_bordered(m, size, axis)], 1
    while window < size:
        shift = min(window, size - window)
        left, right = _apart(levels[-1], shift, axis)
        levels.append(torch.maximum(left, right))
        window += shift
    for level, later in zip(reversed(levels[:-1]), reversed(levels[1:]), strict=True):
        shift = level.shape[axis] - later.shape[axis]
        left, right = _apart(level, shift, axis)
        from_left = gradient * (left >= right)
        routed = torch.zeros_like(level)
        left, right = _apart(routed, shift, axis)
        left.copy_(from_left)
        right.add_(gradient).sub_(from_left)
        gradient = routed
    return gradient.narrow(axis, size // 2, m.shape[axis])


def _bordered(m: Tensor, size: int, axis: int) -> Tensor:
    return F.pad(m, [0, 0] * (m.ndim - 1 - axis) + [size // 2, size // 2])  # the border adds nothing: m >= 0


def _apart(m: Tensor, shift: int, axis: int) -> tuple[Tensor, Tensor]:
    """A map without its last and without its first pixels along an axis."""
    length = m.shape[axis] - shift
    return m.narrow(axis, 0, length), m.narrow(axis, shift, length)


def running(combine: Callable[[Tensor, Tensor], Tensor], m: Tensor, size: int, axis: int) -> Tensor:
    """`combine` (a maximum, an OR) over a window of odd `size` along one axis; the border adds 0."""
    m, window = _bordered(m, size, axis), 1
    while window < size:
        shift = min(window, size - window)
        m = combine(*_apart(m, shift, axis))
        window += shift
    return m


def erode(m: Tensor, size: int, valid: Tensor) -> Tensor:
    """MinPool over a cube of odd side `size`, stride 1: the complement of the dilated complement within `valid`."""
    if not isinstance(m, Tensor):
        return m.erode(size, valid)
    if m.is_floating_point():
        return 1 - dilate((1 - m) * valid, size)
    return ~dilate(~m & valid, size)
