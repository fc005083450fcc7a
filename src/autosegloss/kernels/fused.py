"""Sums of curves over probabilities, and their gradient, without a map of probabilities for each operation.

The operations of torch work in blocks that stay in a processor's caches; on a GPU Triton kernels take their place.
Throughout: N images of P pixels, logits (N, C, P), labels (N, P) int64 in [0, C), or None where no term counts labels
alone, valid (N, 1 or C, P) bool, and masks of terms likewise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autosegloss.algebra import CurveSum
from autosegloss.algebra.activations import SOFTMAX, Activation
from autosegloss.algebra.inputs import accumulation_dtype, compute_dtype, sum_by_label
from autosegloss.curves import Bezier, Curve
from autosegloss.kernels.memory import Buffers, blocks, empty, empty_like, zero_ignored_
from autosegloss.with_triton import check_close, kernels_on, readable


def fused_sums(
    logits: Tensor,
    labels: Tensor | None,
    valid: Tensor,
    terms: Sequence[CurveSum],
    activation: Activation = SOFTMAX,
) -> Tensor:
    """The sums (K, C) of the terms, differentiable by the logits."""
    kernels = triton_on(logits.device) if readable(logits) and activation is SOFTMAX else None
    if kernels is not None and labels is not None and kernels.fits(logits, valid, terms):
        if logits.stride(2) > 1:  # channels last: a class of neighbouring pixels lies apart, and is slow to read
            logits = logits.contiguous()
        return kernels.TritonSums.apply(logits, labels, valid, terms)
    keep = torch.is_grad_enabled() and logits.requires_grad
    return BlockSums.apply(logits, labels, valid, terms, activation, keep)


def triton_on(device: torch.device) -> ModuleType | None:
    """The module of the kernels of the sums, if it can be used on this device."""
    return kernels_on(device, "autosegloss.kernels.triton_kernels", check_kernels)


def check_kernels(kernels: ModuleType, device: torch.device) -> None:
    """Raise RuntimeError if the kernels give other sums or gradients on a small batch than the blocks."""
    random, curve = torch.Generator().manual_seed(0), Curve(Bezier(), Bezier().control_points(torch.full((6,), 0.4)))
    logits = (3 * torch.randn(2, 5, 100, generator=random, dtype=torch.float32)).to(device)
    labels = torch.randint(5, (2, 100), generator=random).to(device)
    valid = (labels != 4).unsqueeze(1)
    terms = [CurveSum(curve, None, at_labels=False), CurveSum(curve, valid, at_labels=True)]
    expected, saved = block_sums(logits, labels, valid, terms, SOFTMAX, keep=True)
    batch = kernels.Batch.of(logits, labels, valid, terms)
    slope = block_gradient(logits, labels, terms, SOFTMAX, saved, expected)
    check_close("sums", batch.sums(), expected)
    check_close("gradients", batch.gradient(expected), slope)


class BlockSums(torch.autograd.Function):
    """Logits (N, C, P) -> the sums (K, C) of the terms; it saves probabilities, as cross-entropy their logs."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        labels: Tensor | None,
        valid: Tensor,
        terms: Sequence[CurveSum],
        activation: Activation,
        keep: bool,
    ) -> Tensor:
        result, saved = block_sums(logits, labels, valid, terms, activation, keep)
        ctx.save_for_backward(labels, saved.probs, *saved.at_labels)
        ctx.terms, ctx.activation, ctx.slopes = terms, activation, saved.slopes
        ctx.like = torch.empty_like(logits, device="meta")
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        labels, probs, *at_labels = ctx.saved_tensors
        saved, ctx.slopes = Saved(probs, ctx.slopes, at_labels), None
        gradient = block_gradient(ctx.like, labels, ctx.terms, ctx.activation, saved, weights)
        return gradient, *[None] * 5


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
    logits: Tensor,
    labels: Tensor | None,
    valid: Tensor,
    terms: Sequence[CurveSum],
    activation: Activation,
    keep: bool,
) -> tuple[Tensor, Saved]:
    """The sums (K, C) of the terms; `keep` saves the data of the gradient."""
    dtype, device = compute_dtype(logits.dtype), logits.device
    everywhere, alone = _everywhere(terms, dtype)
    slopes = empty_like(logits, dtype, device) if keep and alone is not None else None
    probs = empty(logits.numel() if keep else 0, dtype, device)
    at = None if labels is None else torch.empty_like(labels, dtype=dtype)
    total = torch.zeros(len(terms), logits.shape[1], dtype=accumulation_dtype(device), device=device)
    buffers = Buffers(3 + (not keep), logits, dtype, device)
    for block in blocks(logits.shape, device):
        g, slope, work, *own = buffers.like(block)
        p = probs[block.place].view(block.shape) if keep else own[0]
        activation.write(block.of(logits), p)
        zero_ignored_(p, block.of(valid))
        if labels is not None and at is not None:
            torch.gather(p, 1, block.of(labels).unsqueeze(1), out=block.of(at).unsqueeze(1))
        for curve, counted in everywhere:
            curve.read(p, g, slope, work)
            for k, mask in counted:
                masked = g if mask is None else torch.mul(g, block.of(mask), out=work)
                total[k] += masked.sum(dim=(0, 2))
                if slopes is not None:
                    block.of(slopes).copy_(slope if mask is None else slope.mul_(block.of(mask)))
    saved = Saved(probs, slopes, [])
    if labels is not None and at is not None:
        saved.at_labels.extend(_add_at_labels(total, terms, labels, valid, at))
    return total.to(dtype), saved


def _add_at_labels(
    total: Tensor, terms: Sequence[CurveSum], labels: Tensor, valid: Tensor, at: Tensor
) -> Iterator[Tensor]:
    """Add the sums of the terms that count the labels alone, and give the slopes (N, P) of each."""
    for row, term in zip(total, terms, strict=True):
        if term.at_labels:
            g, slope, work = (torch.empty_like(at) for _ in range(3))
            term.curve.read(at, g, slope, work)
            mask = (valid if term.mask is None else term.mask).squeeze(1)
            row += sum_by_label(labels, len(row), g.mul_(mask))
            yield slope.mul_(mask)


def block_gradient(
    like: Tensor,
    labels: Tensor | None,
    terms: Sequence[CurveSum],
    activation: Activation,
    saved: Saved,
    weights: Tensor,
) -> Tensor:
    """The gradient by the logits of the sums weighted by (K, C); it has the layout and type of `like`."""
    everywhere, alone = _everywhere(terms, weights.dtype)
    at_labels = None if labels is None else _at_labels(labels, terms, saved, weights)
    slopes, result, device = saved.slopes, saved.slopes, weights.device
    if result is None or result.dtype != like.dtype:
        result = empty_like(like, like.dtype, device)
    buffers = Buffers(4, like, weights.dtype, device)
    for block in blocks(like.shape, device):
        d, g, slope, work = buffers.like(block)
        p = saved.probs[block.place].view(block.shape)
        if slopes is not None:
            torch.mul(block.of(slopes), weights[alone, :, None], out=d)
        else:
            d.zero_()
            for curve, counted in everywhere:
                curve.read(p, g, slope, work)
                for k, mask in counted:
                    masked = slope if mask is None else torch.mul(slope, block.of(mask), out=work)
                    d.addcmul_(masked, weights[k, :, None])
        if labels is not None and at_labels is not None:
            d.scatter_add_(1, block.of(labels).unsqueeze(1), block.of(at_labels).unsqueeze(1))
        block.of(result).copy_(activation.gradient_(d, p))
    return result


Counted = list[tuple[int, Tensor | None]]


def _everywhere(terms: Sequence[CurveSum], dtype: torch.dtype) -> tuple[list[tuple[Curve, Counted]], int | None]:
    """The terms over all classes by their curve, each by its number and its mask as floating point numbers.

    And the number of the one term, if there is no other.
    """
    curves: dict[int, tuple[Curve, Counted]] = {}
    numbers = [k for k, term in enumerate(terms) if not term.at_labels]
    for k in numbers:
        mask = terms[k].mask
        _, counted = curves.setdefault(id(terms[k].curve), (terms[k].curve, []))
        counted.append((k, None if mask is None else mask.to(dtype)))
    return list(curves.values()), numbers[0] if len(numbers) == 1 else None


def _at_labels(labels: Tensor, terms: Sequence[CurveSum], saved: Saved, weights: Tensor) -> Tensor:
    """The gradient (N, P) by the probabilities at the labels, of the terms that count the labels alone."""
    result = torch.zeros(labels.shape, dtype=weights.dtype, device=labels.device)
    rows = [weight for term, weight in zip(terms, weights, strict=True) if term.at_labels]
    for slope, weight in zip(saved.at_labels, rows, strict=True):
        result.addcmul_(slope, weight.index_select(0, labels.flatten()).view_as(labels))
    return result
