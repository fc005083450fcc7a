"""Sums over the pixels of a batch that keep nothing for their gradient but the logits: the rest is computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from autosegloss.algebra.labelmap import LabelMap, small
from autosegloss.kernels.memory import clear, fresh, fresh_like, wide

Sums = dict[str, Tensor]
Read = Callable[[Tensor, LabelMap, Tensor], Sums]
_PART = 2**22  # elements of the logits that are read at once
_CLASSES = 2**19  # likewise, where classes can be read one by one


def summed(read: Read, logits: Tensor, labels: Tensor, valid: Tensor, classwise: bool) -> Sums:
    """The sums that `read` makes of softmax probabilities, true and valid map, differentiable by the logits (N, C, *S).

    A few images are read at a time, once for the values and again for the gradient: so the sums must add up over
    images. classwise: a few classes of them at a time, so that their maps stay in a processor's caches.
    """
    names: list[str] = []
    values = _Summed.apply(logits, labels, valid, read, names, classwise)
    return dict(zip(names, values, strict=True))


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, valid: Tensor, read: Read, names: list[str], classwise: bool
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(logits, labels, valid)
        ctx.read, ctx.classwise = read, classwise
        total: dict[str, Tensor] = {}
        for part, probs, _ in _softmax_of_parts(logits, valid):
            for classes, true in _classes(labels[part], valid[part], logits, classwise):
                for name, value in read(probs[:, classes], true, valid[part]).items():
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
        result = fresh_like(logits, logits.dtype, logits.device)
        for part, probs, d in _softmax_of_parts(logits, valid):
            for classes, true in _classes(labels[part], valid[part], logits, ctx.classwise):
                leaf = probs[:, classes].detach().requires_grad_()
                with torch.enable_grad():
                    sums = ctx.read(leaf, true, valid[part]).values()
                pairs = [(value, g[classes]) for value, g in zip(sums, upstream, strict=True) if value.requires_grad]
                values, weights = zip(*pairs, strict=True)
                d[:, classes] = torch.autograd.grad(values, leaf, weights)[0]
            d.mul_(probs)
            result[part] = d.addcmul_(probs, d.sum(dim=1, keepdim=True), value=-1)
        return result, None, None, None, None, None


def _softmax_of_parts(logits: Tensor, valid: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """A few images at a time: which, their probabilities, 0 where not valid, and memory of the same shape."""
    dtype, images = wide(logits.dtype), max(1, _PART // max(1, logits[:1].numel()))
    memory = fresh(2 * logits[:images].numel(), dtype, logits.device).view(2, *logits[:images].shape)
    for start in range(0, max(1, len(logits)), images):
        part = slice(start, start + images)
        probs, other = memory[:, : len(logits[part])]
        torch.softmax(logits[part], dim=1, dtype=dtype, out=probs)
        clear(probs.flatten(2), valid[part].flatten(1))
        yield part, probs, other


def _classes(
    labels: Tensor, valid: Tensor, logits: Tensor, classwise: bool
) -> Iterator[tuple[slice, LabelMap | Tensor]]:
    """Ranges of classes and the true map of each: crisp maps of single classes are cheaper than labels."""
    count = logits.shape[1]
    if not classwise:
        yield slice(0, count), LabelMap(labels, valid, count)
        return
    step, labels = max(1, _CLASSES // max(1, labels.numel())), labels.to(small(count))
    index = torch.arange(count, device=labels.device, dtype=labels.dtype).view(-1, *[1] * (labels.ndim - 1))
    for start in range(0, count, step):
        yield slice(start, start + step), (labels.unsqueeze(1) == index[start : start + step]) & valid
