"""The sums and their gradient with the operations of torch, in blocks that stay in a processor's caches.

Throughout: N images of P pixels, logits (N, C, P), labels (N, P) int64 in [0, C), valid (N, P) bool.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autosegloss.curves import Curve
from autosegloss.kernels.memory import clear, fresh, fresh_like, wide, widest
from autosegloss.kernels.terms import Term

_ON_CPU, _ELSEWHERE = 2**19, 2**24  # elements of the logits that are read at once


class BlockReduction(torch.autograd.Function):
    """Logits (N, C, P) -> the sums (K, C) of the terms. It keeps probabilities, as cross-entropy their logarithms."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, valid: Tensor, terms: Sequence[Term], keep: bool) -> Tensor:
        values, kept = sums(logits, labels, valid, terms, keep)
        ctx.save_for_backward(labels, kept.probs, *kept.at_labels)
        ctx.terms, ctx.slopes, ctx.like = terms, kept.slopes, torch.empty_like(logits, device="meta")
        return values

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        labels, probs, *at_labels = ctx.saved_tensors
        kept, ctx.slopes = Kept(probs, ctx.slopes, at_labels), None
        return gradient(ctx.like, labels, ctx.terms, kept, weights), None, None, None, None


class Kept(NamedTuple):
    """What the gradient is made of.

    probs: probabilities, block after block. slopes: of the one term over all classes, laid out as the logits; they
    become the gradient. None where there are several such terms or none, or where they have been used: they are
    computed again then. at_labels: (N, P) each, the slopes of the terms that count the labels alone.
    """

    probs: Tensor
    slopes: Tensor | None
    at_labels: list[Tensor]


def sums(logits: Tensor, labels: Tensor, valid: Tensor, terms: Sequence[Term], keep: bool) -> tuple[Tensor, Kept]:
    """The sums (K, C) of the terms; what the gradient is made of is kept if one will be asked for."""
    dtype, device = wide(logits.dtype), logits.device
    everywhere = _everywhere(terms, dtype)
    slopes = fresh_like(logits, dtype, device) if keep and len(everywhere) == 1 else None
    probs, at = fresh(logits.numel() if keep else 0, dtype, device), torch.empty_like(labels, dtype=dtype)
    total = torch.zeros(len(terms), logits.shape[1], dtype=widest(device), device=device)
    memory = _Memory(3 + (not keep), logits, dtype, device)
    for block in _blocks(logits.shape, device):
        g, slope, work, *own = memory.like(block)
        p = probs[block.place].view(block.shape) if keep else own[0]
        torch.softmax(block.of(logits), dim=1, dtype=dtype, out=p)
        clear(p, block.of(valid))
        torch.gather(p, 1, block.of(labels).unsqueeze(1), out=block.of(at).unsqueeze(1))
        for k, curve, mask in everywhere:
            curve.read(p, g, slope, work)
            total[k] += _masked(g, mask, block).sum(dim=(0, 2))
            if slopes is not None:
                block.of(slopes).copy_(_masked(slope, mask, block))
    kept = Kept(probs, slopes, [])
    for row, term in zip(total, terms, strict=True):
        if term.at_labels:
            g, slope, work = (torch.empty_like(at) for _ in range(3))
            term.curve.read(at, g, slope, work)
            mask = valid if term.mask is None else term.mask
            kept.at_labels.append(slope.mul_(mask))
            row += _by_label(g.mul_(mask), labels, len(row))
    return total.to(dtype), kept


def gradient(like: Tensor, labels: Tensor, terms: Sequence[Term], kept: Kept, weights: Tensor) -> Tensor:
    """The gradient of the weighted sums by the logits, given weights (K, C); of the layout and type of `like`.

    It is p (d - sum_c p d), d being that by the probabilities.
    """
    everywhere, there = _everywhere(terms, weights.dtype), _at_labels(labels, terms, kept, weights)
    ours = kept.slopes is not None and kept.slopes.dtype == like.dtype
    result = kept.slopes if ours else fresh_like(like, like.dtype, labels.device)
    memory = _Memory(4, like, weights.dtype, labels.device)
    for block in _blocks(like.shape, labels.device):
        d, g, slope, work = memory.like(block)
        p, index, at = kept.probs[block.place].view(block.shape), block.of(labels).unsqueeze(1), block.of(there)
        if kept.slopes is not None:
            torch.mul(block.of(kept.slopes), weights[everywhere[0][0], :, None], out=d)
        else:
            d.zero_()
            for k, curve, mask in everywhere:
                curve.read(p, g, slope, work)
                d.addcmul_(_masked(slope, mask, block), weights[k, :, None])
        d.scatter_add_(1, index, at.unsqueeze(1)).mul_(p)
        block.of(result).copy_(d.addcmul_(p, d.sum(dim=1, keepdim=True), value=-1))
    return result


def _everywhere(terms: Sequence[Term], dtype: torch.dtype) -> list[tuple[int, Curve, Tensor | None]]:
    """The terms over all classes: their number, curve, and mask as numbers."""
    return [
        (k, term.curve, None if term.mask is None else term.mask.to(dtype))
        for k, term in enumerate(terms)
        if not term.at_labels
    ]


def _at_labels(labels: Tensor, terms: Sequence[Term], kept: Kept, weights: Tensor) -> Tensor:
    """The gradient (N, P) by the probabilities at the labels, of the terms that count those alone."""
    result = torch.zeros(labels.shape, dtype=weights.dtype, device=labels.device)
    rows = [weight for term, weight in zip(terms, weights, strict=True) if term.at_labels]
    for slope, weight in zip(kept.at_labels, rows, strict=True):
        result.addcmul_(slope, weight.index_select(0, labels.flatten()).view_as(labels))
    return result


class _Block(NamedTuple):
    """Some images, some of their pixels; where their probabilities are kept, and the shape (n, C, p) of those."""

    images: slice
    pixels: slice
    place: slice
    shape: tuple[int, int, int]

    def of(self, values: Tensor) -> Tensor:
        """A view of values (N, ..., P)."""
        return values[self.images, ..., self.pixels]


def _blocks(shape: torch.Size, device: torch.device) -> Iterator[_Block]:
    """Several whole images, or parts of one; the same for the sums and for their gradient."""
    count, classes, size = shape
    most = max(1, (_ON_CPU if device.type == "cpu" else _ELSEWHERE) // max(1, classes))
    images, parts = max(1, most // max(1, size)), max(1, -(-size // most))
    pixels, begin = max(1, -(-size // parts)), 0
    for n in range(0, count, images):
        for p in range(0, size, pixels):
            shape = (min(images, count - n), classes, min(pixels, size - p))
            end = begin + shape[0] * shape[1] * shape[2]
            yield _Block(slice(n, n + images), slice(p, p + pixels), slice(begin, end), shape)
            begin = end


class _Memory:
    """Memory for the maps of a block, used again for every block: fresh pages cost more than what is done with them."""

    def __init__(self, maps: int, logits: Tensor, dtype: torch.dtype, device: torch.device):
        largest = max((block.place.stop - block.place.start for block in _blocks(logits.shape, device)), default=0)
        self._maps = fresh(maps * largest, dtype, device).view(maps, largest)

    def like(self, block: _Block) -> list[Tensor]:
        size = block.place.stop - block.place.start
        return [m[:size].view(block.shape) for m in self._maps]


def _masked(values: Tensor, mask: Tensor | None, block: _Block) -> Tensor:
    return values if mask is None else values.mul_(block.of(mask).unsqueeze(1))


def _by_label(values: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Sums (C,) of values (N, P) by their labels."""
    values = values.flatten().to(widest(values.device))
    if values.device.type == "cpu":
        return torch.bincount(labels.flatten(), values, minlength=classes)
    return values.new_zeros(classes).index_add_(0, labels.flatten(), values)  # bincount waits for a GPU
