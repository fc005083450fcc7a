"""Min and max pooling of maps (N, C, *S) that know neither the image border nor ignored pixels.

Pooling is geodesic: only valid pixels inside the image take part, so that neither the border of the image nor that
of an ignored region makes a boundary. A cube is pooled one axis after the other, and a window of size k is put together
from windows of 1, 2, 4, ... pixels: the values are the same, in log2(k) comparisons per axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosegloss.algebra.inputs import within

_BLOCK = 2**18  # elements whose gradient is found at once
_FEW = 0.125  # share of pixels with a gradient up to which each is traced back by itself


def dilate(m: Tensor, size: int) -> Tensor:
    """MaxPool over a cube of odd side `size`, stride 1; m is bool, or float in [0, 1], and empty where ignored."""
    if not isinstance(m, Tensor):
        return m.dilate(size)
    if m.requires_grad:
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
            levels, pooled = {}, plane
            for axis in range(2, m.ndim):
                levels[axis] = _levels(pooled, ctx.size, axis)
                pooled = levels[axis][-1]
            few = _few(upstream)
            if few is None:
                for axis in reversed(range(2, m.ndim)):
                    upstream = _routed(levels[axis], upstream, ctx.size, axis)
                out.copy_(upstream)
            else:
                index, values = few, upstream.view(-1).index_select(0, few)
                for axis in reversed(range(2, m.ndim)):
                    index, inside = _traced(levels[axis], index, ctx.size, axis)
                    index, values = index[inside], values[inside]
                out.zero_().view(-1).index_add_(0, index, values)
        return result, None


def _levels(m: Tensor, size: int, axis: int) -> list[Tensor]:
    """The maxima over windows of 1, 2, 4, ... and at last `size` pixels along an axis, from the map with its border."""
    levels, window = [_bordered(m, size, axis)], 1
    while window < size:
        shift = min(window, size - window)
        levels.append(torch.maximum(*_apart(levels[-1], shift, axis)))
        window += shift
    return levels


def _few(gradient: Tensor) -> Tensor | None:
    """Where a gradient is not 0, as indices into it laid flat; None where that is many, or not to be asked."""
    if gradient.device.type != "cpu" or gradient.numel() == 0 or gradient.dtype == torch.bfloat16:
        return None
    there = gradient.numpy().reshape(-1) != 0
    return torch.from_numpy(np.flatnonzero(there)) if np.count_nonzero(there) <= _FEW * there.size else None


def _routed(levels: list[Tensor], gradient: Tensor, size: int, axis: int) -> Tensor:
    """The gradient of a running maximum along one axis by its argument."""
    for level, later in zip(reversed(levels[:-1]), reversed(levels[1:]), strict=True):
        shift = level.shape[axis] - later.shape[axis]
        left, _ = _apart(level, shift, axis)
        from_right = torch.sub(later, left).sign_().mul_(gradient)  # 1 where the right one is higher: no bool is made
        routed = torch.empty_like(level)
        left, right = _apart(routed, shift, axis)
        left.copy_(gradient).sub_(from_right)
        routed.narrow(axis, left.shape[axis], shift).zero_()
        right.add_(from_right)
        gradient = routed
    return gradient.narrow(axis, size // 2, levels[-1].shape[axis])


def _traced(levels: list[Tensor], index: Tensor, size: int, axis: int) -> tuple[Tensor, Tensor]:
    """Which pixels, laid flat, gave the maxima at `index`, and whether they lie inside of the border."""
    length, inner = levels[-1].shape[axis], levels[-1][0, 0].numel()
    for pooled in range(2, axis + 1):
        inner //= levels[-1].shape[pooled]
    outer, across = index // (length * inner), index % inner
    along = index // inner % length
    for level, later in zip(reversed(levels[:-1]), reversed(levels[1:]), strict=True):
        extent, flat = level.shape[axis], level.reshape(-1)
        left = (outer * extent + along) * inner + across
        shift = extent - later.shape[axis]
        higher = flat.index_select(0, left + shift * inner) > flat.index_select(0, left)
        along = along + shift * higher
    along = along - size // 2
    return (outer * length + along) * inner + across, (along >= 0) & (along < length)


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
        return 1 - dilate(within(1 - m, valid), size)
    return ~dilate(~m & valid, size)
