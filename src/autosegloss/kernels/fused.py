"""Sums of curves over softmax probabilities, and their gradient, without a map of probabilities for each operation.

The operations of torch work in blocks that stay in a processor's caches; on a GPU Triton kernels take their place.
Throughout: N images of P pixels, logits (N, C, P), labels (N, P) int64 in [0, C), valid (N, P) bool.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from autosegloss.algebra import CurveSum
from autosegloss.algebra.inputs import accumulation_dtype, compute_dtype, sum_by_label
from autosegloss.curves import Bezier, Curve
from autosegloss.with_triton import check_close, kernels_on, readable

_CPU_BLOCK, _GPU_BLOCK = 2**19, 2**24  # elements of the logits that are read at once


def fused_sums(logits: Tensor, labels: Tensor, valid: Tensor, terms: Sequence[CurveSum]) -> Tensor:
    """The sums (K, C) of the terms, differentiable by the logits."""
    kernels = triton_on(logits.device) if readable(logits) else None
    if kernels is not None and kernels.fits(logits, terms):
        if logits.stride(2) > 1:  # channels last: a class of neighbouring pixels lies apart, and is slow to read
            logits = logits.contiguous()
        return kernels.TritonSums.apply(logits, labels, valid, terms)
    keep = torch.is_grad_enabled() and logits.requires_grad
    return BlockSums.apply(logits, labels, valid, terms, keep)


def triton_on(device: torch.device) -> ModuleType | None:
    """The module of the kernels of the sums, if it can be used on this device."""
    return kernels_on(device, "autosegloss.kernels.triton_kernels", check_kernels)


def check_kernels(kernels: ModuleType, device: torch.device) -> None:
    """Raise RuntimeError if the kernels give other sums or gradients on a small batch than the blocks."""
    random, curve = torch.Generator().manual_seed(0), Curve(Bezier(), Bezier().control_points(torch.full((6,), 0.4)))
    logits = (3 * torch.randn(2, 5, 100, generator=random, dtype=torch.float32)).to(device)
    labels = torch.randint(5, (2, 100), generator=random).to(device)
    valid = labels != 4
    terms = [CurveSum(curve, None, at_labels=False), CurveSum(curve, valid, at_labels=True)]
    expected, saved = block_sums(logits, labels, valid, terms, keep=True)
    batch = kernels.Batch.of(logits, labels, valid, terms)
    slope = block_gradient(logits, labels, terms, saved, expected)
    check_close("sums", batch.sums(), expected)
    check_close("gradients", batch.gradient(expected), slope)


class BlockSums(torch.autograd.Function):
    """Logits (N, C, P) -> the sums (K, C) of the terms; it saves probabilities, as cross-entropy their logs."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, valid: Tensor, terms: Sequence, keep: bool) -> Tensor:
        result, saved = block_sums(logits, labels, valid, terms, keep)
        ctx.save_for_backward(labels, saved.probs, *saved.at_labels)
        ctx.terms, ctx.slopes, ctx.like = terms, saved.slopes, torch.empty_like(logits, device="meta")
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        labels, probs, *at_labels = ctx.saved_tensors
        saved, ctx.slopes = Saved(probs, ctx.slopes, at_labels), None
        return block_gradient(ctx.like, labels, ctx.terms, saved, weights), None, None, None, None


class Saved(NamedTuple):
    """The data of the gradient.

    probs: probabilities, block after block. slopes: those of the one term over all classes, in the layout of the
    logits; they become the gradient. None for several such terms or no such term, and after use: then they are computed
    again. at_labels: (N, P) each, the slopes of the terms that count the labels alone.
    """

    probs: Tensor
    slopes: Tensor | None
    at_labels: list[Tensor]


def block_sums(
    logits: Tensor, labels: Tensor, valid: Tensor, terms: Sequence[CurveSum], keep: bool
) -> tuple[Tensor, Saved]:
    """The sums (K, C) of the terms; `keep` saves the data of the gradient."""
    dtype, device = compute_dtype(logits.dtype), logits.device
    everywhere = _everywhere(terms, dtype)
    slopes = empty_like(logits, dtype, device) if keep and len(everywhere) == 1 else None
    probs, at = empty(logits.numel() if keep else 0, dtype, device), torch.empty_like(labels, dtype=dtype)
    total = torch.zeros(len(terms), logits.shape[1], dtype=accumulation_dtype(device), device=device)
    buffers = _Buffers(3 + (not keep), logits, dtype, device)
    for block in _blocks(logits.shape, device):
        g, slope, work, *own = buffers.like(block)
        p = probs[block.place].view(block.shape) if keep else own[0]
        torch.softmax(block.of(logits), dim=1, dtype=dtype, out=p)
        zero_ignored_(p, block.of(valid))
        torch.gather(p, 1, block.of(labels).unsqueeze(1), out=block.of(at).unsqueeze(1))
        for k, curve, mask in everywhere:
            curve.read(p, g, slope, work)
            total[k] += _masked_(g, mask, block).sum(dim=(0, 2))
            if slopes is not None:
                block.of(slopes).copy_(_masked_(slope, mask, block))
    saved = Saved(probs, slopes, [])
    for row, term in zip(total, terms, strict=True):
        if term.at_labels:
            g, slope, work = (torch.empty_like(at) for _ in range(3))
            term.curve.read(at, g, slope, work)
            mask = valid if term.mask is None else term.mask
            saved.at_labels.append(slope.mul_(mask))
            row += sum_by_label(labels, len(row), g.mul_(mask))
    return total.to(dtype), saved


def block_gradient(like: Tensor, labels: Tensor, terms: Sequence[CurveSum], saved: Saved, weights: Tensor) -> Tensor:
    """The gradient by the logits of the sums weighted by (K, C); it has the layout and type of `like`."""
    everywhere, at_labels = _everywhere(terms, weights.dtype), _at_labels(labels, terms, saved, weights)
    slopes, result = saved.slopes, saved.slopes
    if result is None or result.dtype != like.dtype:
        result = empty_like(like, like.dtype, labels.device)
    buffers = _Buffers(4, like, weights.dtype, labels.device)
    for block in _blocks(like.shape, labels.device):
        d, g, slope, work = buffers.like(block)
        p, index, at = saved.probs[block.place].view(block.shape), block.of(labels).unsqueeze(1), block.of(at_labels)
        if slopes is not None:
            torch.mul(block.of(slopes), weights[everywhere[0][0], :, None], out=d)
        else:
            d.zero_()
            for k, curve, mask in everywhere:
                curve.read(p, g, slope, work)
                d.addcmul_(_masked_(slope, mask, block), weights[k, :, None])
        d.scatter_add_(1, index, at.unsqueeze(1))
        block.of(result).copy_(softmax_gradient_(d, p))
    return result


def softmax_gradient_(d: Tensor, probs: Tensor) -> Tensor:
    """The gradient by the logits, p (d - sum_c p d), of d (n, C, ...) by the probabilities p; d is overwritten."""
    d.mul_(probs)
    return d.addcmul_(probs, d.sum(dim=1, keepdim=True), value=-1)


def empty(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Uninitialised memory; on a CPU numpy's, which asks Linux for large pages: a third of the time."""
    if device.type == "cpu" and dtype in (torch.float32, torch.float64):
        return torch.from_numpy(np.empty(size, np.float32 if dtype == torch.float32 else np.float64))
    return torch.empty(size, dtype=dtype, device=device)


def empty_like(like: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Uninitialised memory in the layout of a dense tensor."""
    strides = torch.empty_like(like, device="meta").stride()
    return empty(like.numel(), dtype, device).as_strided(like.shape, strides)


def zero_ignored_(probs: Tensor, valid: Tensor) -> None:
    """Set probabilities (n, C, p) at ignored pixels to 0, also those that a nan in the logits has spoiled."""
    if probs.device.type != "cpu":
        probs.masked_fill_(~valid.unsqueeze(1), 0)
    elif not valid.all():
        for image, seen in zip(probs, valid, strict=True):  # few are ignored, and a mask takes three times as long
            image.index_fill_(1, torch.from_numpy(np.flatnonzero(~seen.numpy())), 0)


def _everywhere(terms: Sequence[CurveSum], dtype: torch.dtype) -> list[tuple[int, Curve, Tensor | None]]:
    """The terms over all classes: number, curve, and mask as floating point numbers."""
    return [
        (k, term.curve, None if term.mask is None else term.mask.to(dtype))
        for k, term in enumerate(terms)
        if not term.at_labels
    ]


def _at_labels(labels: Tensor, terms: Sequence[CurveSum], saved: Saved, weights: Tensor) -> Tensor:
    """The gradient (N, P) by the probabilities at the labels, of the terms that count the labels alone."""
    result = torch.zeros(labels.shape, dtype=weights.dtype, device=labels.device)
    rows = [weight for term, weight in zip(terms, weights, strict=True) if term.at_labels]
    for slope, weight in zip(saved.at_labels, rows, strict=True):
        result.addcmul_(slope, weight.index_select(0, labels.flatten()).view_as(labels))
    return result


class _Block(NamedTuple):
    """Some pixels of some images, the place of their saved probabilities, and the shape (n, C, p) of these."""

    images: slice
    pixels: slice
    place: slice
    shape: tuple[int, int, int]

    def of(self, tensor: Tensor) -> Tensor:
        """A view of a tensor (N, ..., P)."""
        return tensor[self.images, ..., self.pixels]


def _blocks(shape: torch.Size, device: torch.device) -> Iterator[_Block]:
    """Several whole images, or parts of one; the same for the sums and for their gradient."""
    count, classes, size = shape
    most = max(1, (_CPU_BLOCK if device.type == "cpu" else _GPU_BLOCK) // max(1, classes))
    images, parts = max(1, most // max(1, size)), max(1, -(-size // most))
    pixels, begin = max(1, -(-size // parts)), 0
    for n in range(0, count, images):
        for p in range(0, size, pixels):
            block = (min(images, count - n), classes, min(pixels, size - p))
            end = begin + block[0] * block[1] * block[2]
            yield _Block(slice(n, n + images), slice(p, p + pixels), slice(begin, end), block)
            begin = end


class _Buffers:
    """Memory for the maps of a block, reused by every block: new pages cost more than the arithmetic."""

    def __init__(self, maps: int, logits: Tensor, dtype: torch.dtype, device: torch.device):
        largest = max((block.place.stop - block.place.start for block in _blocks(logits.shape, device)), default=0)
        self._maps = empty(maps * largest, dtype, device).view(maps, largest)

    def like(self, block: _Block) -> list[Tensor]:
        """Maps of the shape of the block."""
        size = block.place.stop - block.place.start
        return [m[:size].view(block.shape) for m in self._maps]


def _masked_(tensor: Tensor, mask: Tensor | None, block: _Block) -> Tensor:
    return tensor if mask is None else tensor.mul_(block.of(mask).unsqueeze(1))
