"""From labels and logits to the maps of a formula; the only place that knows `ignore_index`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeGuard

import torch
from torch import Tensor

from autosegloss.algebra.checks import (
    check_channels,
    check_integers,
    check_mask,
    check_predictions,
    check_range,
    check_shapes,
    check_tensors,
)
from autosegloss.algebra.maps import ClassSets, Map, Union
from autosegloss.algebra.masks import equal, everywhere, masked
from autosegloss.algebra.morphology import Window, pooled
from autosegloss.algebra.sums import Sum
from autosegloss.transforms import traced

WITH_FLOAT64 = ("cpu", "cuda")
"""The types of devices that surely have float64; that of Apple has not."""

_trusted: ContextVar[bool] = ContextVar("trusted", default=False)


class LabelMap(Map):
    """The one-hot map, crisp, of labels (N, *S), empty outside of mask (N, 1, *S), bool.

    A one-hot map of C classes holds C numbers a pixel, of which one counts. This class computes the same sums for the
    price of the one. Labels lie in [0, C) everywhere; outside of the mask they count for nothing.
    """

    crisp = True

    def __init__(self, labels: Tensor, mask: Tensor, num_classes: int):
        self.labels, self.mask, self.num_classes = labels, mask, num_classes
        self.shape = torch.Size((labels.shape[0], num_classes, *labels.shape[1:]))
        self._counts: tuple[Tensor, Tensor] | None = None

    def dense(self) -> Tensor:
        return masked(torch.stack([equal(self.labels, c) for c in range(self.num_classes)], dim=1), self.mask)

    def within(self, mask: Tensor) -> LabelMap:
        check_mask(mask, self.shape)
        return LabelMap(self.labels, self.mask if mask is self.mask else self.mask & mask, self.num_classes)

    def erode(self, size: Window, valid: Tensor) -> LabelMap:
        """A pixel stays if all valid pixels of its window have its class; pixels outside of `valid` go."""
        rest = self.num_classes + 1
        labels = self.labels.to(smallest_integer(rest))
        extremes = torch.stack([labels + 1, self.num_classes - labels], dim=1)  # the highest and the lowest label
        of_window = pooled(torch.maximum, extremes.where(self.mask, rest).where(valid, 0), size)
        return self.within((of_window == extremes).all(dim=1, keepdim=True) & valid)

    def dilate(self, size: Window) -> ClassSets:
        """The classes of all pixels in the window."""
        words = []
        for first in range(0, self.num_classes, ClassSets.WORD):
            bit = self.labels.to(torch.int32) - first
            here = self.mask.squeeze(1) & (bit >= 0) & (bit < ClassSets.WORD)
            words.append(torch.where(here, 1 << bit.clamp(0, ClassSets.WORD - 1), 0))
        return ClassSets(pooled(torch.bitwise_or, torch.stack(words, dim=1), size), self.num_classes)

    def any_class(self) -> Tensor:
        return self.mask

    def larger(self, other: Map) -> Map:
        if self._shares_labels(other):
            return LabelMap(self.labels, self.mask | other.mask, self.num_classes)
        return super().larger(other)

    def total(self, mask: Tensor) -> Sum:
        """Pixels of each class (C,) int64; formulas ask more than once for the same mask."""
        if self._counts is None or self._counts[0] is not mask:
            check_mask(mask, self.shape)
            held = (self.mask if mask is self.mask else self.mask & mask).squeeze(1)
            counts = sum_by_label(self.labels.where(held, self.num_classes), self.num_classes + 1)[:-1]
            self._counts = mask, counts
        return Sum(((1, self._counts[1]),))

    def at(self, m: Tensor) -> Tensor:
        """The values (N, *S) of a map (N, C, *S) at the labels."""
        return m.gather(1, self.labels.long().unsqueeze(1)).squeeze(1)

    def __and__(self, other: Map) -> Map:
        if isinstance(other, LabelMap):
            return self.within(other.mask & (self.labels == other.labels).unsqueeze(1))
        if isinstance(other, ClassSets):
            return self.within(other.holds(self.labels).unsqueeze(1))
        return super().__and__(other)

    def __or__(self, other: Map) -> Map:
        return Union(self, other) if isinstance(other, LabelMap) else super().__or__(other)

    def __xor__(self, other: Map) -> Map:
        if self._shares_labels(other):
            return LabelMap(self.labels, self.mask ^ other.mask, self.num_classes)
        return super().__xor__(other)

    def _shares_labels(self, other: Map) -> TypeGuard[LabelMap]:
        return isinstance(other, LabelMap) and other.labels is self.labels


def label_map(labels: Tensor, num_classes: int, ignore_index: int | None, dtype: torch.dtype = torch.int64) -> LabelMap:
    """The one-hot map of labels (N, *S), integers; its mask (N, 1, *S) is the valid map.

    Raises InputError for labels that are not integers or lie outside [0, C) without being `ignore_index`.
    """
    return LabelMap(*_seen(labels, num_classes, ignore_index, dtype), num_classes)


def predicted_classes(preds: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Predicted classes (N, *S), integers, of such or of logits (N, C, *S); raises InputError for another form."""
    check_tensors(preds, labels)
    if preds.is_floating_point():
        check_shapes(preds, labels)
        check_channels(preds, num_classes)
        return preds.argmax(dim=1)
    check_predictions(preds, labels)
    return preds


def predicted_map(preds: Tensor, true: LabelMap) -> LabelMap:
    """The one-hot map of predicted classes (N, *S), valid where the labels are.

    Raises InputError unless the classes at valid pixels lie in [0, C).
    """
    seen = zero_ignored(preds.long(), true.mask)
    if not labels_are_trusted():
        check_range("predictions", seen, true.mask, true.num_classes, None)
    return LabelMap(seen.to(true.labels.dtype), true.mask, true.num_classes)


def valid_map(labels: Tensor, num_classes: int, ignore_index: int | None) -> Tensor:
    """The valid map (N, 1, *S), bool, of labels (N, *S); raises InputError as `label_map` does."""
    return _seen(labels, num_classes, ignore_index)[1]


def zero_ignored(labels: Tensor, valid: Tensor) -> Tensor:
    """Labels (N, *S), 0 where valid (N, 1, *S) does not hold; the labels themselves where a CPU sees that all count."""
    return labels if everywhere(valid) else labels.where(valid.squeeze(1), 0)


def soft_map(logits: Tensor, valid: Tensor) -> Tensor:
    """Softmax probabilities (N, C, *S) of logits, 0 at ignored pixels; at least float32 even for half precision."""
    # The mask goes over the logits before the softmax: a nan of an ignored pixel reaches no value and no gradient.
    return torch.softmax(logits.to(compute_dtype(logits.dtype)).masked_fill(~valid, 0), dim=1) * valid


def sum_by_label(labels: Tensor, num_classes: int, values: Tensor | None = None) -> Tensor:
    """Sums (C,) of values (N, *S) by the label of their pixel; without values the number of pixels, int64."""
    index = labels.flatten()
    if values is not None:
        values = values.flatten().to(accumulation_dtype(values.device))
    if index.device.type == "cpu" and not (values is not None and values.requires_grad):
        return torch.bincount(index, values, minlength=num_classes)
    if values is None and index.is_cuda:
        return torch.histc(index.to(torch.int32), num_classes, 0, num_classes).long()
    values = torch.ones_like(index, dtype=torch.int64) if values is None else values
    return values.new_zeros(num_classes).index_add(0, index, values)  # bincount has no gradient and waits for a GPU


def is_class(ignore_index: int | None, num_classes: int) -> TypeGuard[int]:
    """Whether the label to ignore is the id of a class, which then is out of every average."""
    return ignore_index is not None and 0 <= ignore_index < num_classes


def counted(sums: Mapping[str, Tensor], ignore_index: int | None) -> dict[str, Tensor]:
    """Sums (C,) without the entry of a class that is ignored."""
    return {name: without_ignored(value, ignore_index) for name, value in sums.items()}


def without_ignored(values: Tensor, ignore_index: int | None, axis: int = 0) -> Tensor:
    """Values of C classes along an axis, without those of a class that is ignored."""
    if not is_class(ignore_index, size := values.shape[axis]):
        return values
    before, after = values.narrow(axis, 0, ignore_index), values.narrow(axis, ignore_index + 1, size - ignore_index - 1)
    return torch.cat([before, after], dim=axis)


def with_ignored(scores: Tensor, num_classes: int, ignore_index: int | None) -> Tensor:
    """Scores (C,), with nan for a class that is ignored, of those of the other classes."""
    if not is_class(ignore_index, num_classes):
        return scores
    return torch.cat([scores[:ignore_index], scores.new_full((1,), torch.nan), scores[ignore_index:]])


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """A context in which autocast changes no operation on a device; some devices have no autocast."""
    known = device.type in ("cpu", "cuda") or torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if known else nullcontext()


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The type of probabilities and sums for logits of `dtype`."""
    return torch.promote_types(dtype, torch.float32)


def accumulation_dtype(device: torch.device) -> torch.dtype:
    """The type in which single pixels are added up and counts divided: in float32 so many lose digits."""
    return torch.float64 if device.type in WITH_FLOAT64 else torch.float32


def smallest_integer(largest: int) -> torch.dtype:
    """The smallest integer type that holds 0 .. largest."""
    return next(dtype for dtype in (torch.uint8, torch.int16, torch.int32) if largest <= torch.iinfo(dtype).max)


def labels_are_trusted() -> bool:
    """Whether the values of labels need no check, or cannot be read."""
    return traced() or _trusted.get()


@contextmanager
def labels_are_classes() -> Iterator[None]:
    """Skip the check that labels and predictions lie in [0, C) or are ignored: the caller has made sure of it.

    The check reads values, so that every step would wait for a GPU.
    """
    token = _trusted.set(True)
    try:
        yield
    finally:
        _trusted.reset(token)


def _seen(
    labels: Tensor, num_classes: int, ignore_index: int | None, dtype: torch.dtype = torch.int64
) -> tuple[Tensor, Tensor]:
    """Labels (N, *S) of a type, 0 where they are ignored, and the valid map."""
    check_tensors(labels)
    check_integers("labels", labels)
    labels = labels.long()
    valid = torch.ones_like(labels, dtype=torch.bool) if ignore_index is None else labels != ignore_index
    valid = valid.unsqueeze(1)
    if labels_are_trusted():
        return zero_ignored(labels.to(dtype), valid), valid
    seen = zero_ignored(labels, valid)
    check_range("labels", seen, valid, num_classes, ignore_index)
    return seen.to(dtype), valid
