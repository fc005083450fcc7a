"""Sums over the pixels of a batch that save the logits alone for their gradient and compute the rest again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autosegloss.algebra import DenseMap, Map
from autosegloss.algebra.activations import SOFTMAX, Activation
from autosegloss.algebra.inputs import compute_dtype, smallest_integer
from autosegloss.algebra.maps import map_of_labels
from autosegloss.algebra.truth import Truth
from autosegloss.formulas import Sums
from autosegloss.kernels.memory import empty, empty_like, zero_ignored_
from autosegloss.once import differentiated_once

Read = Callable[[Map, Map, Tensor], Sums]
"""From the maps of prediction and truth and the valid map to sums (C,)."""

_CLASSES = 2**18  # elements of the logits that are read at once on a CPU, for formulas that can be read class by class
_IMAGES, _GPU_IMAGES = 2**18, 2**26  # elements of the logits that are read at once, at least those of one image


def recomputed_sums(
    read: Read,
    logits: Tensor,
    truth: Truth,
    classwise: bool,
    activation: Activation = SOFTMAX,
    at_once: int | None = None,
) -> Sums:
    """The sums that `read` makes of probabilities and truth, differentiable by the logits (N, C, *S).

    A few images are read at a time, once for the values and again for the gradient: so the sums must add up over
    images.

    Args:
        read: makes the sums.
        logits: (N, C, *S).
        truth: the labels, and the pixels that count.
        classwise: read a few classes of the images at a time, so that their maps stay in a processor's caches.
        activation: makes the probabilities.
        at_once: the elements of the logits that are read at once; None decides by the device.
    """
    names: list[str] = []
    on_cpu = logits.device.type == "cpu"
    at_once = at_once or (_IMAGES if on_cpu else _GPU_IMAGES)
    parts = _Parts(truth, activation, classwise and on_cpu, at_once)
    return dict(zip(names, _Recomputed.apply(logits, read, parts, names), strict=True))


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, read: Read, parts: _Parts, names: list[str]) -> tuple[Tensor, ...]:
        tensors, ctx.unpack = parts.truth.packed()
        ctx.save_for_backward(logits, *tensors)
        ctx.read, ctx.how = read, parts[1:]
        total: dict[str, Tensor] = {}
        for truth, _, probs, _ in parts.of(logits):
            for classes, true, valid in parts.classes(truth, logits.shape[1]):
                for name, value in read(DenseMap(probs[:, classes]), true, valid).items():
                    if name not in total:
                        total[name] = value.new_zeros(logits.shape[1])
                    total[name][classes] += value
        names += total
        ctx.mark_non_differentiable(*(value for value in total.values() if not value.is_floating_point()))
        return tuple(total.values())

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        logits, *tensors = ctx.saved_tensors
        parts = _Parts(ctx.unpack(*tensors), *ctx.how)
        result = empty_like(logits, logits.dtype, logits.device)
        for truth, part, probs, d in parts.of(logits):
            for classes, true, valid in parts.classes(truth, logits.shape[1]):
                leaf = probs[:, classes].detach().requires_grad_()
                with torch.enable_grad():
                    sums = ctx.read(DenseMap(leaf), true, valid).values()
                pairs = [(value, g[classes]) for value, g in zip(sums, upstream, strict=True) if value.requires_grad]
                values, weights = zip(*pairs, strict=True)
                d[:, classes] = torch.autograd.grad(values, leaf, weights)[0]
            result[part] = parts.activation.gradient_(d, probs)
        return result, None, None, None


class _Parts(NamedTuple):
    """How a batch is read: some images at a time, and of these some classes at a time."""

    truth: Truth
    activation: Activation
    classwise: bool
    at_once: int

    def of(self, logits: Tensor) -> Iterator[tuple[Truth, slice, Tensor, Tensor]]:
        """The truth of a few images, their place, their probabilities, 0 at ignored pixels, and as much memory."""
        dtype, images = compute_dtype(logits.dtype), max(1, self.at_once // max(1, logits[:1].numel()))
        memory = empty(2 * logits[:images].numel(), dtype, logits.device).view(2, *logits[:images].shape)
        for start in range(0, max(1, len(logits)), images):
            part = slice(start, start + images)
            probs, other = memory[:, : len(logits[part])]
            self.activation.write(logits[part], probs)
            truth = self.truth.of_images(part)
            zero_ignored_(probs.flatten(2), truth.valid.flatten(2))
            yield truth, part, probs, other

    def classes(self, truth: Truth, count: int) -> Iterator[tuple[slice, Map, Tensor]]:
        """Ranges of classes, and the true map and the valid pixels of each.

        Crisp dense maps of single classes are cheaper than labels.
        """
        true, valid = truth.true, truth.valid
        step = max(1, _CLASSES // max(1, valid[:, :1].numel())) if self.classwise else count
        ranges = [slice(start, start + step) for start in range(0, count, max(1, step))]
        if isinstance(true, DenseMap):
            for part in ranges:
                yield part, map_of_labels(true.values[:, part]), valid if valid.shape[1] == 1 else valid[:, part]
        elif not self.classwise:
            yield slice(0, count), true, valid
        else:
            labels = true.labels.to(smallest_integer(count)).unsqueeze(1)
            index = torch.arange(count, device=labels.device, dtype=labels.dtype).view(-1, *[1] * (labels.ndim - 2))
            for part in ranges:
                yield part, DenseMap((labels == index[part]) & valid), valid
