"""Min and max pooling of dense maps (N, C, *S), with a fast gradient.

Pooling is geodesic: only valid pixels inside the image take part. So neither the border of the image nor that of an
ignored region makes a boundary. A box is pooled one axis after the other, and a window of size k is composed of
windows of 1, 2, 4, ... pixels: the values are the same, in log2(k) comparisons per axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosegloss.algebra.masks import masked
from autosegloss.once import differentiated_once
from autosegloss.transforms import traced
from autosegloss.with_triton import check_close, kernels_on, readable

Window = int | tuple[int, ...]
"""The odd sides of a box in pixels, one for each axis of S; a number is the side of a cube."""

_plain: ContextVar[bool] = ContextVar("plain", default=False)

_LONG = 64  # windows of more pixels are composed of shorter ones on a GPU, too
_BLOCK = 2**18  # elements whose gradient is found at once
_SPARSE = 0.125  # share of pixels with a gradient up to which the gradient follows each pixel by itself


def dilate(m: Tensor, size: Window) -> Tensor:
    """MaxPool over a window, stride 1; m is bool, or float in [0, 1], and empty at ignored pixels."""
    if traced() or _plain.get():
        return pooled(_higher, m, size)
    return _Dilate.apply(m, size) if m.requires_grad else pooled(torch.maximum, m, size)


@contextmanager
def plain_pooling() -> Iterator[None]:
    """Pool by plain operations of torch, which can be differentiated twice and transformed by torch.func."""
    if traced():  # then all pooling is plain
        yield
        return
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def erode(m: Tensor, size: Window, valid: Tensor) -> Tensor:
    """MinPool over a window, stride 1: the complement of the dilated complement within `valid`."""
    if m.is_floating_point():
        return 1 - dilate(masked(1 - m, valid), size)
    return ~dilate(~m & valid, size)


def pooled(combine: Callable[[Tensor, Tensor], Tensor], m: Tensor, size: Window) -> Tensor:
    """`combine` (a maximum, a bitwise OR) over a window at each pixel; pixels outside count as 0.

    Raises TypeError for another size.
    """
    sides = sides_of(size, m.ndim)
    kernel, bits = _kernel(m, max(sides.values())), combine is torch.bitwise_or
    for axis, side in sides.items():
        m = kernel.pooled_along(m, side, axis, bits) if kernel else pooled_along(combine, m, side, axis)
    return m


def sides_of(size: Window, ndim: int) -> dict[int, int]:
    """The side of a window by the axis of a map (N, C, *S); raises TypeError for another size."""
    sides = size if isinstance(size, tuple) else (size,) * (ndim - 2)
    if not all(isinstance(side, int) and side > 0 and side % 2 for side in sides):
        raise TypeError(f"the size of a window must be an odd number of pixels, got {size!r}")
    if len(sides) != ndim - 2:
        raise TypeError(f"the size of a window must be a number, or one for each of {ndim - 2} axes, got {size!r}")
    return dict(enumerate(sides, start=2))


def pooled_along(combine: Callable[[Tensor, Tensor], Tensor], m: Tensor, size: int, axis: int) -> Tensor:
    """`combine` over a window of `size` pixels along an axis."""
    m, window = _bordered(m, size, axis), 1
    while window < size:
        shift = min(window, size - window)
        m = combine(*_shifted(m, shift, axis))
        window += shift
    return m


def _kernel(m: Tensor, size: int) -> ModuleType | None:
    """The module of the kernel that pools on a GPU with one launch for each axis; of numbers it loses a nan."""
    if not readable(m) or m.is_floating_point() or size > _LONG or m.numel() == 0:
        return None
    return kernels_on(m.device, "autosegloss.algebra.pooling_kernel", check_pooling)


def check_pooling(kernel: ModuleType, device: torch.device) -> None:
    """Raise RuntimeError if the kernel gives other maps than the operations of torch."""
    m = torch.randint(256, (2, 1, 9, 40), generator=torch.Generator().manual_seed(0)).to(device)
    for combine, bits in ((torch.maximum, False), (torch.bitwise_or, True)):
        for axis in (2, 3):
            ours, theirs = kernel.pooled_along(m, 5, axis, bits), pooled_along(combine, m, 5, axis)
            check_close("pooled maps", ours.double(), theirs.double())


def _higher(first: Tensor, other: Tensor) -> Tensor:
    """The maximum, of which the first has the gradient where both are equal."""
    return first | other if first.dtype == torch.bool else torch.where((other > first) | other.isnan(), other, first)


class _Dilate(torch.autograd.Function):
    """MaxPool that saves its input alone; the backward pass takes as many planes (n, c) at a time as fit into a cache.

    Of equal pixels the first receives the gradient.
    """

    @staticmethod
    def forward(ctx: Any, m: Tensor, size: Window) -> Tensor:
        ctx.save_for_backward(m)
        ctx.size = size
        return pooled(torch.maximum, m, size)

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (m,) = ctx.saved_tensors
        m, gradient = m.contiguous(), gradient.contiguous()
        result = torch.empty_like(m)
        together = max(1, _BLOCK // max(1, m[:1, :1].numel()))
        planes = (x.flatten(0, 1).unsqueeze(1).split(together) for x in (m, gradient, result))
        for plane, upstream, out in zip(*planes, strict=True):
            _route(plane, upstream, out, ctx.size)
        return result, None


def _route(m: Tensor, gradient: Tensor, out: Tensor, size: Window) -> None:
    """Write to `out` the gradient by m of the maxima over a window, given the gradient by the maxima."""
    sides, levels, pooled_so_far = sides_of(size, m.ndim), {}, m
    for axis, side in sides.items():
        levels[axis] = _levels(pooled_so_far, side, axis)
        pooled_so_far = levels[axis][-1]
    sparse = _sparse(gradient)
    if sparse is None:
        for axis in reversed(sides):
            gradient = _routed(levels[axis], gradient, sides[axis], axis)
        out.copy_(gradient)
        return
    index, values = sparse, gradient.view(-1).index_select(0, sparse)
    for axis in reversed(sides):
        index, inside = _traced(levels[axis], index, sides[axis], axis)
        index, values = index[inside], values[inside]
    out.zero_().view(-1).index_add_(0, index, values)


def _levels(m: Tensor, size: int, axis: int) -> list[Tensor]:
    """The map with its border, then its maxima over windows of 2, 4, ... and at last `size` pixels along an axis."""
    levels, window = [_bordered(m, size, axis)], 1
    while window < size:
        shift = min(window, size - window)
        levels.append(torch.maximum(*_shifted(levels[-1], shift, axis)))
        window += shift
    return levels


def _sparse(gradient: Tensor) -> Tensor | None:
    """The flat indices where a gradient is not 0; None if these are many, or if the count would wait for a GPU."""
    if gradient.device.type != "cpu" or gradient.numel() == 0 or gradient.dtype == torch.bfloat16:
        return None
    there = gradient.numpy().reshape(-1) != 0
    return torch.from_numpy(np.flatnonzero(there)) if np.count_nonzero(there) <= _SPARSE * there.size else None


def _routed(levels: list[Tensor], gradient: Tensor, size: int, axis: int) -> Tensor:
    """The gradient by its argument of a running maximum along one axis."""
    for level, later in zip(reversed(levels[:-1]), reversed(levels[1:]), strict=True):
        shift = level.shape[axis] - later.shape[axis]
        left, _ = _shifted(level, shift, axis)
        from_right = torch.sub(later, left).sign_().mul_(gradient)  # the sign is 1 where the right one is higher
        routed = torch.empty_like(level)
        left, right = _shifted(routed, shift, axis)
        left.copy_(gradient).sub_(from_right)
        routed.narrow(axis, left.shape[axis], shift).zero_()
        right.add_(from_right)
        gradient = routed
    return gradient.narrow(axis, size // 2, levels[-1].shape[axis])


def _traced(levels: list[Tensor], index: Tensor, size: int, axis: int) -> tuple[Tensor, Tensor]:
    """The flat indices of the pixels that gave the maxima at `index`, and whether they lie inside of the border."""
    length, inner = levels[-1].shape[axis], levels[-1].shape[axis + 1 :].numel()
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


def _shifted(m: Tensor, shift: int, axis: int) -> tuple[Tensor, Tensor]:
    """A map without its last and without its first pixels along an axis."""
    length = m.shape[axis] - shift
    return m.narrow(axis, 0, length), m.narrow(axis, shift, length)
