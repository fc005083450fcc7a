"""Sums over the pixels of a batch that save the logits alone for their gradient and compute the rest again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from autosegloss.algebra import DenseMap, LabelMap, Map
from autosegloss.algebra.inputs import compute_dtype, smallest_integer
from autosegloss.formulas import Sums
from autosegloss.kernels.fused import empty, empty_like, softmax_gradient_, zero_ignored_

Read = Callable[[Map, Map, Tensor], Sums]
"""From the maps of prediction and truth and the valid map to sums (C,)."""

_CLASSES = 2**19  # elements of the logits that are read at once, for formulas that can be read class by class


def recomputed_sums(read: Read, logits: Tensor, true: LabelMap, classwise: bool, at_once: int = 2**22) -> Sums:
    """The sums that `read` makes of softmax probabilities and truth, differentiable by the logits (N, C, *S).

    A few images are read at a time, once for the values and again for the gradient: so the sums must add up over
    images.

    Args:
        read: makes the sums.
        logits: (N, C, *S).
        true: the map of the labels.
        classwise: read a few classes of the images at a time, so that their maps stay in a processor's caches.
        at_once: the elements of the logits that are read at once, at least those of one image.
    """
    names: list[str] = []
    values = _Recomputed.apply(logits, true.labels, true.mask, read, names, classwise, at_once)
    return dict(zip(names, values, strict=True))


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        labels: Tensor,
        valid: Tensor,
        read: Read,
        names: list[str],
        classwise: bool,
        at_once: int,
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(logits, labels, valid)
        ctx.read, ctx.classwise, ctx.at_once = read, classwise, at_once
        total: dict[str, Tensor] = {}
        for part, probs, _ in _softmax_of_parts(logits, valid, at_once):
            for classes, true in _true_maps(labels[part], valid[part], logits.shape[1], classwise):
                for name, value in read(DenseMap(probs[:, classes]), true, valid[part]).items():
                    if name not in total:
                        total[name] = value.new_zeros(logits.shape[1])
                    total[name][classes] += value
        names += total
        ctx.mark_non_differentiable(*(value for value in total.values() if not value.is_floating_point()))
        return tuple(total.values())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        logits, labels, valid = ctx.saved_tensors
        result = empty_like(logits, logits.dtype, logits.device)
        for part, probs, d in _softmax_of_parts(logits, valid, ctx.at_once):
            for classes, true in _true_maps(labels[part], valid[part], logits.shape[1], ctx.classwise):
                leaf = probs[:, classes].detach().requires_grad_()
                with torch.enable_grad():
                    sums = ctx.read(DenseMap(leaf), true, valid[part]).values()
                pairs = [(value, g[classes]) for value, g in zip(sums, upstream, strict=True) if value.requires_grad]
                values, weights = zip(*pairs, strict=True)
                d[:, classes] = torch.autograd.grad(values, leaf, weights)[0]
            result[part] = softmax_gradient_(d, probs)
        return result, *[None] * 6


def _softmax_of_parts(logits: Tensor, valid: Tensor, at_once: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """A few images at a time: their place, their probabilities, 0 at ignored pixels, and memory of the same shape."""
    dtype, images = compute_dtype(logits.dtype), max(1, at_once // max(1, logits[:1].numel()))
    memory = empty(2 * logits[:images].numel(), dtype, logits.device).view(2, *logits[:images].shape)
    for start in range(0, max(1, len(logits)), images):
        part = slice(start, start + images)
        probs, other = memory[:, : len(logits[part])]
        torch.softmax(logits[part], dim=1, dtype=dtype, out=probs)
        zero_ignored_(probs.flatten(2), valid[part].flatten(1))
        yield part, probs, other


def _true_maps(labels: Tensor, valid: Tensor, count: int, classwise: bool) -> Iterator[tuple[slice, Map]]:
    """Ranges of classes and the true map of each: crisp dense maps of single classes are cheaper than labels."""
    if not classwise:
        yield slice(0, count), LabelMap(labels, valid, count)
        return
    step, labels = max(1, _CLASSES // max(1, labels.numel())), labels.to(smallest_integer(count))
    index = torch.arange(count, device=labels.device, dtype=labels.dtype).view(-1, *[1] * (labels.ndim - 1))
    for start in range(0, count, step):
        yield slice(start, start + step), DenseMap((labels.unsqueeze(1) == index[start : start + step]) & valid)
