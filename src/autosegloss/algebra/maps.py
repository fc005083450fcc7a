"""Maps, the operands of a formula: each kind computes some operations cheaply, and all others on the dense map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NoReturn

import torch
from torch import Tensor

from autosegloss.algebra.masks import count, masked
from autosegloss.algebra.morphology import Window, dilate, erode
from autosegloss.algebra.sums import Sum


class Map(ABC):
    """A map of N images and C classes over pixels S = (H, W) or (D, H, W): crisp (bool), or soft with values in [0, 1].

    A formula combines maps by the operations below and by the AND, OR and XOR of its logic. The prediction is crisp in
    the metric and soft in the loss. `dense()` is the door to all operations of torch, and a DenseMap of the result is a
    map again: `DenseMap(m.dense().float().sqrt())`. A formula that takes this door of the prediction is computed on
    dense maps, a few images at a time, which costs more memory and time.
    """

    shape: torch.Size
    """(N, C, *S)."""
    crisp: bool
    """Whether the values are bool."""

    @abstractmethod
    def dense(self) -> Tensor:
        """The values (N, C, *S), bool or floating point."""

    def within(self, mask: Tensor) -> Map:
        """The map, empty outside of mask (N, 1, *S), bool."""
        return DenseMap(masked(self.dense(), mask))

    def erode(self, size: Window, valid: Tensor) -> Map:
        """MinPool over a window (a side, or one for each axis); pixels outside of valid (N, 1, *S) take no part."""
        return DenseMap(erode(self.dense(), size, valid))

    def dilate(self, size: Window) -> Map:
        """MaxPool over a window (a side, or one for each axis); the map is empty at ignored pixels."""
        return DenseMap(dilate(self.dense(), size))

    def any_class(self) -> Tensor:
        """Where a crisp map holds for any class: (N, 1, *S), bool."""
        if not self.crisp:
            raise TypeError("any_class() is for crisp maps")
        return self.dense().any(dim=1, keepdim=True)

    def larger(self, other: Map) -> Map:
        """The larger of two maps, pixel by pixel."""
        a, b = self.dense(), other.dense()
        if self.crisp and other.crisp:
            return DenseMap(a | b)
        a, b = a.to(torch.promote_types(a.dtype, b.dtype)), b.to(torch.promote_types(a.dtype, b.dtype))
        return DenseMap(b + torch.relu(a - b))  # its gradient takes half the time of that of a maximum

    def total(self, mask: Tensor) -> Sum:
        """Sum over images and the pixels of mask (N, 1, *S), bool -> (C,): counts of a crisp map are exact (int64)."""
        within = masked(self.dense(), mask)
        return Sum(((1, count(within) if self.crisp else within.sum(dim=(0, *range(2, len(self.shape))))),))

    def __and__(self, other: Map) -> Map:
        """AND of crisp maps."""
        return DenseMap(self.dense() & other.dense())

    def __or__(self, other: Map) -> Map:
        """OR of crisp maps."""
        return DenseMap(self.dense() | other.dense())

    def __xor__(self, other: Map) -> Map:
        """XOR of crisp maps."""
        return DenseMap(self.dense() ^ other.dense())

    def __bool__(self) -> NoReturn:
        raise TypeError("a formula cannot branch on a map")

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("a formula cannot compare maps")


class DenseMap(Map):
    """A map by its values (N, C, *S): bool, or floating point in [0, 1]."""

    def __init__(self, values: Tensor):
        self.values, self.shape, self.crisp = values, values.shape, values.dtype == torch.bool

    def dense(self) -> Tensor:
        return self.values


class SoftLabels(DenseMap):
    """Labels by their degrees of truth (N, C, *S) in [0, 1]; labels of 0 and 1 are what a crisp map of them is.

    AND is the smaller of two degrees, OR the larger, XOR their distance. So IoU of soft labels with themselves is 1,
    which products of degrees would not give (Wang et al., "Jaccard Metric Losses", NeurIPS 2023, arXiv 2302.05666).
    """

    def within(self, mask: Tensor) -> SoftLabels:
        return SoftLabels(masked(self.values, mask))

    def erode(self, size: Window, valid: Tensor) -> SoftLabels:
        return SoftLabels(erode(self.values, size, valid))

    def dilate(self, size: Window) -> SoftLabels:
        return SoftLabels(dilate(self.values, size))

    def any_class(self) -> Tensor:
        """Where the degree of any class is above 1/2: (N, 1, *S), bool."""
        return (self.values > 0.5).any(dim=1, keepdim=True)

    def __and__(self, other: Map) -> SoftLabels:
        return SoftLabels(torch.minimum(self.values, other.dense().to(self.values.dtype)))

    def __or__(self, other: Map) -> SoftLabels:
        return SoftLabels(torch.maximum(self.values, other.dense().to(self.values.dtype)))

    def __xor__(self, other: Map) -> SoftLabels:
        return SoftLabels((self.values - other.dense().to(self.values.dtype)).abs())


def map_of_labels(values: Tensor) -> DenseMap:
    """The map of labels (N, C, *S) that are bool, or soft in [0, 1]."""
    return DenseMap(values) if values.dtype == torch.bool else SoftLabels(values)


class ClassSets(Map):
    """A crisp map with any number of classes at a pixel: sets (N, K, *S), int32, one bit a class, WORD bits a word."""

    WORD = 31
    crisp = True

    def __init__(self, sets: Tensor, num_classes: int):
        self.sets, self.num_classes = sets, num_classes
        self.shape = torch.Size((sets.shape[0], num_classes, *sets.shape[2:]))

    def dense(self) -> Tensor:
        words = (self.sets[:, c // self.WORD] >> (c % self.WORD) & 1 for c in range(self.num_classes))
        return torch.stack(list(words), dim=1).bool()

    def holds(self, labels: Tensor) -> Tensor:
        """Whether the set of a pixel has the class of its label: bool (N, *S) for labels (N, *S)."""
        if self.sets.shape[1] == 1:
            word = self.sets[:, 0]
        else:
            word = self.sets.gather(1, labels[:, None].long() // self.WORD)[:, 0]
        return (word >> (labels % self.WORD).to(torch.int32) & 1).bool()

    def __and__(self, other: Map) -> Map:
        return super().__and__(other) if isinstance(other, DenseMap | ClassSets) else other & self


class Union(Map):
    """a OR b of two crisp maps whose AND is cheap: |a OR b| = |a| + |b| - |a AND b|."""

    crisp = True

    def __init__(self, a: Map, b: Map):
        self.a, self.b, self.shape = a, b, a.shape

    def dense(self) -> Tensor:
        return self.a.dense() | self.b.dense()

    def total(self, mask: Tensor) -> Sum:
        return self.a.total(mask) + self.b.total(mask) - (self.a & self.b).total(mask)
