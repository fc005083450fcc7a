"""The sums and their gradient as two Triton kernels; of the size of the logits only the gradient is written.

A program takes some pixels of an image and walks through their classes: what it has read of the logits stays in a
cache while it finds their softmax, bends it and adds it up. The gradient computes the same again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from autosegloss.algebra import CurveSum
from autosegloss.once import differentiated_once

MOST = 2**31  # programs, and places in memory from the first of an image to its last: both are counted in 32 bits
BLOCK = 128  # pixels of a program
WARPS = 1  # so few that sums over the pixels of a program need no shared memory
LOG2E = tl.constexpr(1.4426950408889634)


class TritonSums(torch.autograd.Function):
    """Logits (N, C, P) -> the sums (K, C) of the terms."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, valid: Tensor, terms: Sequence[CurveSum]) -> Tensor:
        batch = Batch.of(logits, labels, valid, terms)
        ctx.save_for_backward(*batch[:-2])
        ctx.bits = batch[-2:]
        return batch.sums()

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        return Batch(*ctx.saved_tensors, *ctx.bits).gradient(weights), None, None, None


class Batch(NamedTuple):
    """The arguments of the kernels.

    logits: (N, C, P); labels: (N, P) int64, contiguous; masks: (1 + K, N, P) bool, the valid pixels and those of each
    term, or the valid ones alone; table: (K, pieces, 8) of `Curve.table`; softmax: (2, N, P), what a probability needs
    beside its logit. Bit k of at_labels: term k counts the labels alone. Bit k of own: it has a mask of its own.
    """

    logits: Tensor
    labels: Tensor
    masks: Tensor
    table: Tensor
    softmax: Tensor
    at_labels: int
    own: int

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor, valid: Tensor, terms: Sequence[CurveSum]) -> Batch:
        """A batch whose sums are those of the terms."""
        table = tables([term.curve for term in terms], logits.device)
        at_labels = sum(1 << k for k, term in enumerate(terms) if term.at_labels)
        own = sum(1 << k for k, term in enumerate(terms) if term.mask is not None)
        own_masks = [valid if term.mask is None else term.mask for term in terms] if own else []
        masks = torch.stack([valid, *own_masks]).squeeze(2)
        softmax = torch.empty(2, *labels.shape, dtype=torch.float32, device=logits.device)
        # The labels of slices of a volume may be strided.
        return cls(logits, labels.contiguous(), masks, table, softmax, at_labels, own)

    def sums(self) -> Tensor:
        """The sums (K, C), float32; they fill `softmax`."""
        logits, labels, masks, table, softmax, _, _ = self
        constants, tiles = self._launch()
        size = len(logits) * tiles, len(table), logits.shape[1]
        partial = torch.empty(size, dtype=torch.float32, device=logits.device)
        with torch.cuda.device_of(logits):
            sums_kernel[len(partial),](
                logits, labels, masks, table, softmax, partial, *logits.stride(), *logits.shape, tiles, **constants
            )
        return partial.sum(dim=0, dtype=torch.float64).float()

    def gradient(self, weights: Tensor) -> Tensor:
        """The gradient by the logits of the sums weighted by (K, C), after `sums`."""
        logits, labels, masks, table, softmax, _, _ = self
        constants, tiles = self._launch()
        result, weights = torch.empty_like(logits), weights.float().contiguous()
        strides = *logits.stride(), *result.stride()
        with torch.cuda.device_of(logits):
            gradient_kernel[len(logits) * tiles,](
                logits, labels, masks, table, softmax, weights, result, *strides, *logits.shape, tiles, **constants
            )
        return result

    def _launch(self) -> tuple[dict[str, int], int]:
        """The constants of the kernels, and the number of programs of an image."""
        terms, pieces, _ = self.table.shape
        of_terms = {"term_count": terms, "pieces": pieces, "at_labels": self.at_labels, "own": self.own}
        return {**of_terms, "block": BLOCK, "num_warps": WARPS}, triton.cdiv(self.logits.shape[2], BLOCK)


def tables(curves: Sequence[Any], device: torch.device) -> Tensor:
    """The numbers of the pieces of some curves: (K, pieces, 8), float32."""
    pieces = max(len(curve.pieces) for curve in curves)
    return torch.stack([curve.table(pieces, device) for curve in curves])


def fits(logits: Tensor, valid: Tensor, terms: Sequence[CurveSum]) -> bool:
    """Whether the kernels support such logits (N, C, P), masks (N, 1, P) and curves."""
    masks = [valid, *(term.mask for term in terms if term.mask is not None)]
    single = all(mask.shape[1] == 1 for mask in masks)
    return in_reach(logits) and single and bool(terms) and all(term.curve.pieces for term in terms)


def in_reach(logits: Tensor) -> bool:
    """Whether kernels can count the places of logits (N, C, *S) in memory."""
    single = logits.dtype in (torch.float32, torch.float16, torch.bfloat16)
    reach = sum((extent - 1) * step for extent, step in zip(logits.shape[1:], logits.stride()[1:], strict=True))
    size = logits[0, 0].numel() if logits.numel() else 0
    return single and logits.numel() > 0 and max(reach, len(logits) * size, logits[0].numel()) < MOST


@triton.jit
def sums_kernel(
    logits, labels, masks, table, softmax, partial, stride_n, stride_c, stride_p, images, classes, size, tiles,
    term_count: tl.constexpr, pieces: tl.constexpr, at_labels: tl.constexpr, own: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    image, p = pixels(tiles, block)
    seen = tl.load(masks + image * size + p, mask=p < size, other=0) != 0
    label = tl.load(labels + image * size + p, mask=p < size, other=0).to(tl.int32)
    at = logits + image * stride_n + p * stride_p
    top, shift = softmax_of(at, stride_c, seen, classes, block)
    save_softmax(softmax, top, shift, image, images, p, size)
    y = prob_at(at + label * stride_c, top, shift, seen)
    out = partial + tl.program_id(0).to(tl.int64) * term_count * classes
    for k in tl.static_range(term_count):
        mask = _mask(masks, k, seen, image, images, p, size, own)
        if (at_labels >> k) & 1:
            g, _ = bent(table + k * pieces * 8, y, pieces)
            where = tl.where(mask, label, -1)
            for c in tl.range(0, classes, loop_unroll_factor=4):
                tl.store(out + k * classes + c, tl.sum(tl.where(where == c, g, 0.0), axis=0))
        else:
            for c in range(classes):
                g, _ = bent(table + k * pieces * 8, prob_at(at + c * stride_c, top, shift, seen), pieces)
                tl.store(out + k * classes + c, tl.sum(g * mask.to(tl.float32), axis=0))  # a nan stays


@triton.jit
def gradient_kernel(
    logits, labels, masks, table, softmax, weights, result, stride_n, stride_c, stride_p, out_n, out_c, out_p,
    images, classes, size, tiles,
    term_count: tl.constexpr, pieces: tl.constexpr, at_labels: tl.constexpr, own: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    image, p = pixels(tiles, block)
    label = tl.load(labels + image * size + p, mask=p < size, other=0).to(tl.int32)
    at, out = logits + image * stride_n + p * stride_p, result + image * out_n + p * out_p
    top, shift, seen = saved_softmax(softmax, image, images, p, p < size, size)
    y = prob_at(at + label * stride_c, top, shift, seen)
    at_label = tl.zeros((block,), tl.float32)
    for k in tl.static_range(term_count):
        if (at_labels >> k) & 1:
            _, slope = bent(table + k * pieces * 8, y, pieces)
            weight = tl.load(weights + k * classes + label)
            at_label += tl.where(_mask(masks, k, seen, image, images, p, size, own), slope * weight, 0.0)
    mean = y * at_label
    for again in tl.static_range(2):  # the mean of the slopes first, then the gradient
        for c in range(classes):
            prob = prob_at(at + c * stride_c, top, shift, seen)
            d = tl.zeros((block,), tl.float32)
            for k in tl.static_range(term_count):
                if not (at_labels >> k) & 1:
                    _, slope = bent(table + k * pieces * 8, prob, pieces)
                    mask = _mask(masks, k, seen, image, images, p, size, own)
                    d += tl.where(mask, slope * tl.load(weights + k * classes + c), 0.0)
            if again:
                d = prob * (d + tl.where(label == c, at_label, 0.0) - mean)
                tl.store(out + c * out_c, d.to(result.dtype.element_ty), mask=p < size)
            else:
                mean += prob * d


@triton.jit
def pixels(tiles, block: tl.constexpr):
    """The image of this program, and its pixels."""
    program = tl.program_id(0)
    return (program // tiles).to(tl.int64), program % tiles * block + tl.arange(0, block)


@triton.jit
def softmax_of(at, stride_c, seen, classes, block: tl.constexpr):
    """What a probability needs beside its logit x: p = 2^((x - top) log2 e - shift); ignored pixels are not read."""
    top = tl.full((block,), float("-inf"), tl.float32)
    for c in tl.range(0, classes, loop_unroll_factor=4):
        top = tl.maximum(top, tl.load(at + c * stride_c, mask=seen, other=0.0).to(tl.float32))
    total = tl.zeros((block,), tl.float32)
    for c in tl.range(0, classes, loop_unroll_factor=4):
        total += tl.exp2((tl.load(at + c * stride_c, mask=seen, other=0.0).to(tl.float32) - top) * LOG2E)
    return top, tl.where(seen, tl.log2(total), float("inf"))


@triton.jit
def save_softmax(softmax, top, shift, image, images, p, size):
    tl.store(softmax + image * size + p, top, mask=p < size)
    tl.store(softmax + (images + image) * size + p, shift, mask=p < size)


@triton.jit
def saved_softmax(softmax, image, images, p, inside, size):
    """What `softmax_of` gave, and whether a pixel is valid and inside."""
    top = tl.load(softmax + image * size + p, mask=inside, other=0.0)
    shift = tl.load(softmax + (images + image) * size + p, mask=inside, other=float("inf"))
    return top, shift, shift < float("inf")


@triton.jit
def prob_at(at, top, shift, seen):
    """Probabilities, 0 at ignored pixels."""
    return tl.exp2((tl.load(at, mask=seen, other=0.0).to(tl.float32) - top) * LOG2E - shift)


@triton.jit
def _mask(masks, k: tl.constexpr, seen, image, images, p, size, own: tl.constexpr):
    if (own >> k) & 1:
        return tl.load(masks + ((1 + k) * images + image) * size + p, mask=p < size, other=0) != 0
    else:
        return seen


@triton.jit
def bent(table, y, pieces: tl.constexpr):
    """g(y) and g'(y) of a curve; `curves.curve.Piece` explains the numbers."""
    start, pole, rate, square = tl.load(table), tl.load(table + 1), tl.load(table + 2), tl.load(table + 3)
    offset, v, bend, bow = tl.load(table + 4), tl.load(table + 5), tl.load(table + 6), tl.load(table + 7)
    for j in tl.static_range(1, pieces):
        piece = table + 8 * j
        beyond = y > tl.load(piece)
        start, pole = tl.where(beyond, tl.load(piece), start), tl.where(beyond, tl.load(piece + 1), pole)
        rate, square = tl.where(beyond, tl.load(piece + 2), rate), tl.where(beyond, tl.load(piece + 3), square)
        offset, v = tl.where(beyond, tl.load(piece + 4), offset), tl.where(beyond, tl.load(piece + 5), v)
        bend, bow = tl.where(beyond, tl.load(piece + 6), bend), tl.where(beyond, tl.load(piece + 7), bow)
    z = tl.maximum(square + rate * (y - pole), square)  # rounding may put y behind the end
    steep = tl.rsqrt(z)  # 1 / r
    root = tl.rsqrt(z * steep + offset)  # its square is 1 / (r + offset), without a division
    t = (y - start) * root * root
    return v + t * (bend + bow * t), (bend / 2 + bow * t) * steep
