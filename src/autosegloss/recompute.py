"""Sums over the pixels of a batch that keep nothing for their gradient but the logits: the rest is computed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autosegloss.curves import gradients_only
from autosegloss.labelmap import LabelMap

Sums = dict[str, Tensor]
Read = Callable[[Tensor, LabelMap, Tensor], Sums]
_PART = 2**22  # elements of the logits that are read at once


def summed(read: Read, logits: Tensor, labels: Tensor, valid: Tensor) -> Sums:
    """The sums that `read` makes of softmax probabilities, true and valid map, differentiable by the logits (N, C, *S).

    A few images are read at a time, once for the values and again for the gradient: so the sums must add up over
    images. labels: (N, *S) in [0, C) also where valid (N, 1, *S) is not; probabilities are 0 there. Under autocast and
    for half precision they are float32.
    """
    names: list[str] = []
    values = _Summed.apply(logits, labels, valid, read, names)
    return dict(zip(names, values, strict=True))


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, valid: Tensor, read: Read, names: list[str]
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(logits, labels, valid)
        ctx.read = read
        total: Sums = {}
        for part in _parts(logits):
            probs = masked_softmax(logits[part], valid[part])
            true = LabelMap(labels[part], valid[part], logits.shape[1])
            true.know(probs, true.pick(probs))
            for name, value in read(probs, true, valid[part]).items():
                total[name] = total[name] + value if name in total else value
        names += total
        ctx.mark_non_differentiable(*(value for value in total.values() if not value.is_floating_point()))
        return tuple(total.values())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        logits, labels, valid = ctx.saved_tensors
        result = torch.empty_like(logits)
        for part in _parts(logits):
            probs = masked_softmax(logits[part], valid[part]).requires_grad_()
            true = LabelMap(labels[part], valid[part], logits.shape[1])
            at = true.pick(probs.detach()).requires_grad_()  # a leaf of its own: its gradient is not laid out
            true.know(probs, at)
            with torch.enable_grad(), gradients_only():
                sums = ctx.read(probs, true, valid[part]).values()
            pairs = [(value, g) for value, g in zip(sums, upstream, strict=True) if value.requires_grad]
            values, gradients = zip(*pairs, strict=True)
            everywhere, there = torch.autograd.grad(values, (probs, at), gradients, allow_unused=True)
            result[part] = _by_logits(probs.detach(), everywhere, true.labels, there)
        return result, None, None, None, None


def masked_softmax(logits: Tensor, valid: Tensor) -> Tensor:
    """Softmax probabilities of at least float32, 0 where not valid: not even a nan in such logits comes through."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return torch.softmax(logits, dim=1).masked_fill_(~valid, 0)


def _by_logits(probs: Tensor, everywhere: Tensor | None, labels: Tensor, there: Tensor | None) -> Tensor:
    """The gradient by the logits: p (d - sum p d), d being that by the probabilities, everywhere and at the labels."""
    index = labels.unsqueeze(1)
    if everywhere is None:
        weight = (probs.gather(1, index).squeeze(1) * there).unsqueeze(1)
        return (probs * -weight).scatter_add_(1, index, weight)
    if there is not None:
        everywhere.scatter_add_(1, index, there.unsqueeze(1))
    return torch._softmax_backward_data(everywhere, probs, 1, probs.dtype)


def _parts(logits: Tensor) -> list[slice]:
    images = max(1, _PART // max(1, logits[:1].numel()))
    return [slice(start, start + images) for start in range(0, max(1, len(logits)), images)]
