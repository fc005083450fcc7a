"""The sums and their gradient as two Triton kernels: on a GPU each reads the logits once.

A program takes a tile of pixels with all of their classes, so that softmax, curves and sums stay in its registers; the
gradient computes them again. No tensor of the size of the logits is saved or written but the gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from autosegloss.algebra import CurveSum

MOST_CLASSES = 256  # a tile holds all classes of its pixels
MOST = 2**31  # programs, and places in memory from the first of an image to its last: both are counted in 32 bits
_TILE = 2048  # its elements, unless the classes are many
_EACH = 8  # elements of a thread: with more its registers do not hold them


class TritonSums(torch.autograd.Function):
    """Logits (N, C, P) -> the sums (K, C) of the terms."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, valid: Tensor, terms: Sequence[CurveSum]) -> Tensor:
        batch = Batch.of(logits, labels, valid, terms)
        ctx.save_for_backward(*batch[:-1])
        ctx.at_labels = batch.at_labels
        return batch.sums()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        logits, labels, masks, table = ctx.saved_tensors
        batch = Batch(logits, labels, masks, table, ctx.at_labels)
        return batch.gradient(weights), None, None, None


class Batch(NamedTuple):
    """The arguments of the kernels.

    logits: (N, C, P); labels: (N, P) int64, contiguous; masks: (1 + K, N, P) bool, the valid pixels and those of each
    term; table: (K, pieces, 8) of `Curve.table`. Bit k of at_labels: term k counts the labels alone.
    """

    logits: Tensor
    labels: Tensor
    masks: Tensor
    table: Tensor
    at_labels: int

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor, valid: Tensor, terms: Sequence[CurveSum]) -> Batch:
        """A batch whose sums are those of the terms."""
        pieces = max(len(term.curve.pieces or ()) for term in terms)
        table = torch.stack([term.curve.table(pieces, logits.device) for term in terms])
        masks = torch.stack([valid, *(valid if term.mask is None else term.mask for term in terms)])
        at_labels = sum(1 << k for k, term in enumerate(terms) if term.at_labels)
        return cls(logits, labels.contiguous(), masks, table, at_labels)  # labels: slices of a volume may be strided

    def sums(self) -> Tensor:
        """The sums (K, C), float32."""
        logits, labels, masks, table, _ = self
        constants, tiles = self._launch()
        size = len(logits) * tiles, len(table), constants["block_c"]
        partial = torch.empty(size, dtype=torch.float32, device=logits.device)
        with torch.cuda.device_of(logits):
            sums_kernel[len(partial),](
                logits, labels, masks, table, partial, *logits.stride(), *logits.shape, tiles, **constants
            )
        return partial.sum(dim=0, dtype=torch.float64)[:, : logits.shape[1]].float()

    def gradient(self, weights: Tensor) -> Tensor:
        """The gradient by the logits of the sums weighted by (K, C)."""
        logits, labels, masks, table, _ = self
        constants, tiles = self._launch()
        grid = (len(logits) * tiles,)
        result, weights = torch.empty_like(logits), weights.float().contiguous()
        strides = *logits.stride(), *result.stride()
        with torch.cuda.device_of(logits):
            gradient_kernel[grid](
                logits, labels, masks, table, weights, result, *strides, *logits.shape, tiles, **constants
            )
        return result

    def _launch(self) -> tuple[dict[str, int], int]:
        """The constants of the kernels, and the number of tiles of an image."""
        _, classes, size = self.logits.shape
        sizes, (terms, pieces, _) = tile(classes), self.table.shape
        constants = {"term_count": terms, "pieces": pieces, "at_labels": self.at_labels, **sizes}
        return constants, -(-size // sizes["block_p"])


def tile(classes: int) -> dict[str, int]:
    """The classes and pixels of a tile, and the warps of its program."""
    block_c = triton.next_power_of_2(classes)
    block_p = max(32, _TILE // max(4, block_c))
    warps = min(16, max(4, block_c * block_p // (32 * _EACH)))
    return {"block_c": block_c, "block_p": block_p, "num_warps": warps}


def fits(logits: Tensor, terms: Sequence[CurveSum]) -> bool:
    """Whether the kernels support such logits (N, C, P) and curves."""
    single = logits.dtype in (torch.float32, torch.float16, torch.bfloat16)
    count, classes, size = logits.shape
    reach = (classes - 1) * logits.stride(1) + (size - 1) * logits.stride(2)
    sizes = 0 < classes <= MOST_CLASSES and logits.numel() > 0 and max(reach, count * size, classes * size) < MOST
    return single and sizes and bool(terms) and all(term.curve.pieces for term in terms)


@triton.jit
def sums_kernel(
    logits, labels, masks, table, partial, stride_n, stride_c, stride_p, images, classes, size, tiles,
    term_count: tl.constexpr, pieces: tl.constexpr, at_labels: tl.constexpr,
    block_c: tl.constexpr, block_p: tl.constexpr,
):  # fmt: skip
    image, c, p = place(tiles, block_c, block_p)
    probs, hit = _softmax(
        logits + image * stride_n, labels + image * size, masks + image * size, stride_c, stride_p, c, p, classes, size
    )
    at = tl.sum(tl.where(hit, probs, 0.0), axis=0)
    out = partial + tl.program_id(0).to(tl.int64) * term_count * block_c
    for k in tl.static_range(term_count):
        mask = tl.load(masks + ((1 + k) * images + image) * size + p, mask=p < size, other=0) != 0
        if (at_labels >> k) & 1:
            g, _ = bent(table + k * pieces * 8, at, pieces)
            values = tl.where(hit & mask[None, :], g[None, :], 0.0)
        else:
            g, _ = bent(table + k * pieces * 8, probs, pieces)
            values = tl.where((c < classes)[:, None] & mask[None, :], g, 0.0)
        tl.store(out + k * block_c + c, tl.sum(values, axis=1))


@triton.jit
def gradient_kernel(
    logits, labels, masks, table, weights, result, stride_n, stride_c, stride_p, out_n, out_c, out_p,
    images, classes, size, tiles,
    term_count: tl.constexpr, pieces: tl.constexpr, at_labels: tl.constexpr,
    block_c: tl.constexpr, block_p: tl.constexpr,
):  # fmt: skip
    image, c, p = place(tiles, block_c, block_p)
    probs, hit = _softmax(
        logits + image * stride_n, labels + image * size, masks + image * size, stride_c, stride_p, c, p, classes, size
    )
    at = tl.sum(tl.where(hit, probs, 0.0), axis=0)
    d = tl.zeros((block_c, block_p), tl.float32)
    for k in tl.static_range(term_count):
        mask = tl.load(masks + ((1 + k) * images + image) * size + p, mask=p < size, other=0) != 0
        weight = tl.load(weights + k * classes + c, mask=c < classes, other=0.0)[:, None]
        if (at_labels >> k) & 1:
            _, slope = bent(table + k * pieces * 8, at, pieces)
            d += tl.where(hit & mask[None, :], slope[None, :] * weight, 0.0)
        else:
            _, slope = bent(table + k * pieces * 8, probs, pieces)
            d += tl.where(mask[None, :], slope * weight, 0.0)
    values = probs * (d - tl.sum(d * probs, axis=0)[None, :])
    out = result + image * out_n + c[:, None] * out_c + p[None, :] * out_p
    tl.store(out, values.to(result.dtype.element_ty), mask=(c < classes)[:, None] & (p < size)[None, :])


@triton.jit
def place(tiles, block_c: tl.constexpr, block_p: tl.constexpr):
    """The image of this program, its classes and pixels."""
    program = tl.program_id(0)
    return (program // tiles).to(tl.int64), tl.arange(0, block_c), program % tiles * block_p + tl.arange(0, block_p)


@triton.jit
def _softmax(logits, labels, valid, stride_c, stride_p, c, p, classes, size):
    """Probabilities of a tile, 0 where not valid, and where the class is that of the label."""
    inside = (c < classes)[:, None]
    seen = (tl.load(valid + p, mask=p < size, other=0) != 0)[None, :]
    at = logits + c[:, None] * stride_c + p[None, :] * stride_p
    x = tl.load(at, mask=inside & seen, other=0.0).to(tl.float32)  # ignored pixels are not read
    x = tl.where(inside, x, float("-inf"))
    e = tl.exp(x - tl.max(x, axis=0)[None, :])
    probs = tl.where(seen, e / tl.sum(e, axis=0)[None, :], 0.0)
    return probs, c[:, None] == tl.load(labels + p, mask=p < size, other=0)[None, :]


@triton.jit
def bent(table, y, pieces: tl.constexpr):
    """g(y) and g'(y) of a curve; `curves.curve.Piece` explains the numbers."""
    start, pole, rate, square = tl.load(table), tl.load(table + 1), tl.load(table + 2), tl.load(table + 3)
    offset, v, bend, bow = tl.load(table + 4), tl.load(table + 5), tl.load(table + 6), tl.load(table + 7)
    start, pole, rate, square = start + 0 * y, pole + 0 * y, rate + 0 * y, square + 0 * y
    offset, v, bend, bow = offset + 0 * y, v + 0 * y, bend + 0 * y, bow + 0 * y
    for j in tl.static_range(1, pieces):
        piece = table + 8 * j
        beyond = y > tl.load(piece)
        start, pole = tl.where(beyond, tl.load(piece), start), tl.where(beyond, tl.load(piece + 1), pole)
        rate, square = tl.where(beyond, tl.load(piece + 2), rate), tl.where(beyond, tl.load(piece + 3), square)
        offset, v = tl.where(beyond, tl.load(piece + 4), offset), tl.where(beyond, tl.load(piece + 5), v)
        bend, bow = tl.where(beyond, tl.load(piece + 6), bend), tl.where(beyond, tl.load(piece + 7), bow)
    r = tl.sqrt(tl.maximum(square + rate * (y - pole), square))  # rounding may put y behind the end
    t = (y - start) / (r + offset)
    rise = bend + bow * t
    return v + t * rise, (rise - bend / 2) / r
