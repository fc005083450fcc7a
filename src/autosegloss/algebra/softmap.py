"""Maps of the soft reading that are not laid out: probabilities, and what AND and OR make of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from autosegloss.algebra.labelmap import LabelMap, LazyMap
from autosegloss.curves import Curve


class LaidOutError(RuntimeError):
    """Probabilities were asked for more than the sums that they give: they have to be laid out."""


class Wanted(NamedTuple):
    """Sum over pixels within mask (N, 1, *S), bool, of g(p_c) for each class c; at_labels: for the label's alone."""

    curve: Curve
    mask: Tensor
    at_labels: bool


class Probabilities(LazyMap):
    """A prediction that is known by sums of curves over it alone; `total` gives those (C,).

    Its labels are those that `at_labels` means. Whatever else it is asked for ends in LaidOutError.
    """

    def __init__(self, true: LabelMap, total: Callable[[Wanted], Tensor]):
        self.labels, self.shape, self.total_of = true.labels, true.shape, total

    def dense(self) -> Tensor:
        raise LaidOutError


class AtLabels(LazyMap):
    """g(a) at the classes of a one-hot map, and 0 elsewhere: AND, if the curve of the one-hot map keeps 0 and 1."""

    def __init__(self, curve: Curve, a: Tensor | Probabilities, where: LabelMap):
        self.curve, self.a, self.where, self.shape = curve, a, where, where.shape

    def dense(self) -> Tensor:
        values = self._values().unsqueeze(1) * self.where.mask
        return values.new_zeros(self.shape).scatter(1, self.where.labels.unsqueeze(1), values)

    def total(self, mask: Tensor) -> Tensor:
        mask = self.where.mask & mask
        if isinstance(self.a, Probabilities) and self.where.labels is self.a.labels:
            return self.a.total_of(Wanted(self.curve, mask, at_labels=True))
        values = self._values() * mask.squeeze(1)
        wide = torch.float64 if values.device.type in ("cpu", "cuda") else values.dtype
        zeros = torch.zeros(self.where.num_classes, dtype=wide, device=values.device)  # one by one so many lose digits
        return zeros.index_add(0, self.where.labels.flatten(), values.flatten().to(wide)).to(values.dtype)

    def _values(self) -> Tensor:
        """(N, *S)"""
        a = self.a.dense() if isinstance(self.a, Probabilities) else self.a
        return self.curve(self.where.pick(a))


class SoftUnion(LazyMap):
    """OR(p, one-hot b) = g(p) + (1 - g(p)) b, for a curve with g(0) = 0 and g(1) = 1."""

    def __init__(self, curve: Curve, a: Probabilities, b: LabelMap):
        self.curve, self.a, self.b, self.shape = curve, a, b, b.shape

    def dense(self) -> Tensor:
        return torch.where(self.b.dense(), 1, self.curve(self.a.dense()))

    def total(self, mask: Tensor) -> Tensor:
        """Sum of g(p) everywhere, and of 1 - g(p) at the labels."""
        everywhere = self.a.total_of(Wanted(self.curve, mask, at_labels=False))
        return everywhere - AtLabels(self.curve, self.a, self.b).total(mask) + self.b.total(mask)
