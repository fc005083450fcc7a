"""Sums of curves over probabilities, and their gradient, without a map of probabilities for each operation.

The operations of torch work in blocks that stay in a processor's caches; on a GPU Triton kernels take their place.
Throughout: N images of P pixels, logits (N, C, P), labels (N, P) int64 in [0, C), or None where no term counts labels
alone, valid (N, 1 or C, P) bool, and masks of terms likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autosegloss.algebra import CurveSum
from autosegloss.algebra.activations import SOFTMAX, Activation
from autosegloss.algebra.inputs import accumulation_dtype, compute_dtype, sum_by_label
from autosegloss.curves import Bezier, Curve
from autosegloss.kernels.layers import Layer, layers_of
from autosegloss.kernels.memory import Block, Buffers, as_numbers, blocks, empty_like, zero_ignored_
from autosegloss.once import differentiated_once
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
    blockwise = Sums(logits, labels, valid, terms, SOFTMAX)
    expected, slopes = blockwise.values(keep=True)
    batch = kernels.Batch.of(logits, labels, valid, terms)
    check_close("sums", batch.sums(), expected)
    check_close("gradients", batch.gradient(expected), blockwise.gradient(expected, slopes))


class BlockSums(torch.autograd.Function):
    """Logits (N, C, P) -> the sums (K, C) of the terms; it saves slopes, and computes probabilities again."""

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
        result, slopes = Sums(logits, labels, valid, terms, activation).values(keep)
        ctx.save_for_backward(logits, labels, valid, *slopes.at_labels)
        ctx.given, ctx.everywhere = (terms, activation), slopes.everywhere
        return result

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        logits, labels, valid, *at_labels = ctx.saved_tensors
        slopes, ctx.everywhere = Slopes(ctx.everywhere, at_labels), None
        return Sums(logits, labels, valid, *ctx.given).gradient(weights, slopes), *[None] * 5


class Slopes(NamedTuple):
    """What of the sums is kept for their gradient.

    everywhere: those of the one layer of terms over all classes, in the layout of the logits; they become the gradient.
    None for several such layers or no such layer, and after use: then they are computed again. at_labels: (N, P) each,
    of the terms that count the labels alone.
    """

    everywhere: Tensor | None
    at_labels: list[Tensor]


class Sums:
    """The sums of the terms over the classes of a batch, block by block."""

    def __init__(
        self,
        logits: Tensor,
        labels: Tensor | None,
        valid: Tensor,
        terms: Sequence[CurveSum],
        activation: Activation,
    ):
        self.logits, self.labels, self.valid, self.activation = logits, labels, valid, activation
        self.dtype, self.device = compute_dtype(logits.dtype), logits.device
        self.count = len(terms)
        self.layers = layers_of(terms, self.device)
        self.at_labels = [(k, term) for k, term in enumerate(terms) if term.at_labels]

    def values(self, keep: bool) -> tuple[Tensor, Slopes]:
        """The sums (K, C); `keep` keeps the slopes."""
        alone = self._alone() if keep else None
        kept = None if alone is None else empty_like(self.logits, self.dtype, self.device)
        shape = self.logits[:, 0].shape
        at_labels = [torch.empty(shape, dtype=self.dtype, device=self.device) for _ in self.at_labels if keep]
        slopes = Slopes(kept, at_labels)
        total = torch.zeros(self.count, self.logits.shape[1], dtype=accumulation_dtype(self.device), device=self.device)
        buffers = Buffers(5, self.logits, self.dtype, self.device)
        for block in blocks(self.logits.shape, self.device):
            p, *work = buffers.like(block)
            self._probs(block, p)
            for layer in self.layers:
                slope = layer.read(p, block, work, total)
                if kept is not None and layer is alone:
                    block.of(kept).copy_(slope)
            self._add_at_labels(p, block, work, total, slopes.at_labels)
        return total.to(self.dtype), slopes

    def gradient(self, weights: Tensor, slopes: Slopes) -> Tensor:
        """The gradient by the logits of the sums weighted by (K, C); it has the layout and type of the logits."""
        result = slopes.everywhere
        if result is None or result.dtype != self.logits.dtype:
            result = empty_like(self.logits, self.logits.dtype, self.device)
        by_label = self._by_label(weights, slopes.at_labels)
        buffers = Buffers(6, self.logits, self.dtype, self.device)
        for block in blocks(self.logits.shape, self.device):
            p, d, *work = buffers.like(block)
            self._probs(block, p)
            d.zero_()
            for layer in self.layers:
                kept = None if slopes.everywhere is None or layer.straight else block.of(slopes.everywhere)
                layer.add_gradient(d, p, block, work, weights, kept)
            if self.labels is not None and by_label is not None:
                d.scatter_add_(1, block.of(self.labels).unsqueeze(1), block.of(by_label).unsqueeze(1))
            block.of(result).copy_(self.activation.gradient_(d, p))
        return result

    def _probs(self, block: Block, out: Tensor) -> None:
        self.activation.write(block.of(self.logits), out)
        zero_ignored_(out, block.of(self.valid))

    def _alone(self) -> Layer | None:
        """The one layer whose slopes are no constants, if there is no other."""
        curved = [layer for layer in self.layers if not layer.straight]
        return curved[0] if len(curved) == 1 else None

    def _add_at_labels(self, p: Tensor, block: Block, work: list[Tensor], total: Tensor, slopes: list[Tensor]) -> None:
        """Add the sums of the terms that count the labels alone, and write their slopes."""
        if self.labels is None or not self.at_labels:
            return
        labels = block.of(self.labels)
        y = p.gather(1, labels.unsqueeze(1)).squeeze(1)
        g, slope, free = (buffer.view(-1)[: y.numel()].view_as(y) for buffer in work[:3])
        for n, (k, term) in enumerate(self.at_labels):
            term.curve.read(y, g, slope, free)
            mask = as_numbers(block.of(self.valid if term.mask is None else term.mask).squeeze(1), free)
            total[k] += sum_by_label(labels, total.shape[1], g.mul_(mask))
            if slopes:
                torch.mul(slope, mask, out=block.of(slopes[n]))

    def _by_label(self, weights: Tensor, slopes: list[Tensor]) -> Tensor | None:
        """The gradient (N, P) by the probabilities at the labels, of the terms that count the labels alone."""
        if self.labels is None or not slopes:
            return None
        result = torch.zeros(self.labels.shape, dtype=weights.dtype, device=self.device)
        for (k, _), slope in zip(self.at_labels, slopes, strict=True):
            result.addcmul_(slope, weights[k].index_select(0, self.labels.flatten()).view_as(self.labels))
        return result
