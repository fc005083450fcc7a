"""Maps that are not laid out: one-hot maps kept as labels, and what AND, OR and pooling make of them.

A one-hot map of C classes holds C numbers a pixel of which one counts. Formulas that meet such a map get, from the same
operations, the same sums for the price of the one. Whatever is not foreseen here is done on the map laid out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autosegloss.algebra.morphology import running

_WORD = 31  # classes that an int32 holds, a bit each


class LazyMap(ABC):
    """A map (N, C, *S) by its description; `dense` lays it out, and any operation of torch sees it laid out."""

    shape: torch.Size

    @abstractmethod
    def dense(self) -> Tensor:
        """The map (N, C, *S) as a tensor."""

    def total(self, mask: Tensor) -> Tensor:
        """Sum over images and pixels within mask (N, 1, *S), bool -> (C,)."""
        return (self.dense() * mask).sum(dim=(0, *range(2, len(self.shape))))

    @classmethod
    def __torch_function__(cls, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return function(*map(_laid_out, args), **{key: _laid_out(value) for key, value in (kwargs or {}).items()})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.dense(), name)

    def __and__(self, other: Any) -> Any:
        return self.dense() & _laid_out(other)

    def __or__(self, other: Any) -> Any:
        return self.dense() | _laid_out(other)

    def __xor__(self, other: Any) -> Any:
        return self.dense() ^ _laid_out(other)

    def __mul__(self, other: Any) -> Any:
        return self.dense() * _laid_out(other)

    def __add__(self, other: Any) -> Any:
        return self.dense() + _laid_out(other)

    def __sub__(self, other: Any) -> Any:
        return self.dense() - _laid_out(other)

    def __invert__(self) -> Tensor:
        return ~self.dense()


def small(largest: int) -> torch.dtype:
    """A short integer type that holds 0 .. largest."""
    return next(dtype for dtype in (torch.uint8, torch.int16, torch.int32) if largest <= torch.iinfo(dtype).max)


def _laid_out(value: Any) -> Any:
    return value.dense() if isinstance(value, LazyMap) else value


class LabelMap(LazyMap):
    """The one-hot map, bool, of labels (N, *S) where `mask` holds, empty elsewhere.

    mask: (N, 1, *S), bool. Labels lie in [0, C) everywhere; what they are outside of the mask does not count.
    """

    def __init__(self, labels: Tensor, mask: Tensor, num_classes: int):
        self.labels, self.mask, self.num_classes = labels, mask, num_classes
        self.shape = torch.Size((labels.shape[0], num_classes, *labels.shape[1:]))
        self._known: dict[tuple[str, int], tuple[Tensor, Any]] = {}

    def pick(self, m: Tensor) -> Tensor:
        """The values (N, *S) that a map (N, C, *S) has at the labels."""
        return m.gather(1, self.labels.long().unsqueeze(1)).squeeze(1)

    def dense(self) -> Tensor:
        classes = torch.arange(self.num_classes, device=self.labels.device).view(-1, *[1] * (self.labels.ndim - 1))
        return (self.labels.unsqueeze(1) == classes) & self.mask

    def any(self, dim: int, keepdim: bool = False) -> Tensor:
        """Whether any class holds (dim=1); any other axis is that of the map laid out."""
        if dim != 1:
            return self.dense().any(dim=dim, keepdim=keepdim)
        return self.mask if keepdim else self.mask.squeeze(1)

    def within(self, mask: Tensor) -> LabelMap:
        """The same map, empty outside of mask (N, 1, *S) as well."""
        return LabelMap(self.labels, self.mask & mask, self.num_classes)

    def __and__(self, other: Any) -> Any:
        if isinstance(other, LabelMap):
            return self.within(other.mask & (self.labels == other.labels).unsqueeze(1))
        if isinstance(other, ClassSets):
            return self.within(other.holds(self.labels).unsqueeze(1))
        if isinstance(other, Tensor) and other.shape[1] == 1 and other.dtype == torch.bool:
            return self.within(other)
        return super().__and__(other)

    def __mul__(self, other: Any) -> Any:
        crisp = isinstance(other, Tensor) and other.dtype == torch.bool
        return self & other if crisp else super().__mul__(other)

    def __or__(self, other: Any) -> Any:
        return Union(self, other) if isinstance(other, LabelMap) else super().__or__(other)

    def __xor__(self, other: Any) -> Any:
        if self._shares_labels(other):
            return LabelMap(self.labels, self.mask ^ other.mask, self.num_classes)
        return super().__xor__(other)

    def _shares_labels(self, other: Any) -> bool:
        return isinstance(other, LabelMap) and other.labels is self.labels

    @classmethod
    def __torch_function__(cls, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if function is torch.maximum and isinstance(args[0], LabelMap) and args[0]._shares_labels(args[1]):
            first, second = args
            return LabelMap(first.labels, first.mask | second.mask, first.num_classes)
        return super().__torch_function__(function, types, args, kwargs)

    def total(self, mask: Tensor) -> Tensor:
        """Pixels of each class (C,) int64."""
        return self._once("total", 0, mask, lambda: self._total(mask))

    def _once(self, what: str, size: int, mask: Tensor, made: Callable[[], Any]) -> Any:
        """The last result is kept for who asks again with the same mask: a formula may be read twice."""
        known = self._known.get((what, size))
        if known is None or known[0] is not mask:
            known = self._known[what, size] = mask, made()
        return known[1]

    def _total(self, mask: Tensor) -> Tensor:
        held = (self.mask & mask).squeeze(1)
        index = self.labels.where(held, self.num_classes).flatten()
        if index.device.type == "cpu":
            return torch.bincount(index, minlength=self.num_classes + 1)[:-1]
        counts = torch.zeros(self.num_classes + 1, dtype=torch.int64, device=index.device)  # bincount waits for a GPU
        return counts.index_add_(0, index, torch.ones_like(index))[:-1]

    def erode(self, size: int, valid: Tensor) -> LabelMap:
        """MinPool within `valid`: a pixel stays if all of its window is of its class. Outside `valid` nothing stays."""
        return self._once("eroded", size, valid, lambda: self._erode(size, valid))

    def _erode(self, size: int, valid: Tensor) -> LabelMap:
        labels, rest = self.labels.to(small(self.num_classes + 1)), self.num_classes + 1
        either = torch.stack([labels + 1, self.num_classes - labels], dim=1)  # the highest and the lowest of a window
        seen = either.where(self.mask, rest).where(valid, 0)
        for axis in range(2, seen.ndim):
            seen = running(torch.maximum, seen, size, axis)
        return self.within((seen == either).all(dim=1, keepdim=True) & valid)

    def dilate(self, size: int) -> ClassSets:
        """MaxPool: the classes that any pixel of the window has."""
        words = [
            torch.where(self.mask.squeeze(1) & (k >= 0) & (k < _WORD), 1 << k.clamp(0, _WORD - 1), 0)
            for k in (self.labels.to(torch.int32) - first for first in range(0, self.num_classes, _WORD))
        ]
        sets = torch.stack(words, dim=1)
        for axis in range(2, sets.ndim):
            sets = running(torch.bitwise_or, sets, size, axis)
        return ClassSets(sets, self.num_classes)


class ClassSets(LazyMap):
    """A bool map of which several classes may hold at a pixel: sets (N, K, *S) int32, a bit a class, 31 a word."""

    def __init__(self, sets: Tensor, num_classes: int):
        self.sets, self.num_classes = sets, num_classes
        self.shape = torch.Size((sets.shape[0], num_classes, *sets.shape[2:]))

    def dense(self) -> Tensor:
        return torch.stack([self.sets[:, c // _WORD] >> (c % _WORD) & 1 for c in range(self.num_classes)], dim=1).bool()

    def holds(self, labels: Tensor) -> Tensor:
        """Whether the class of labels (N, *S) is in the set of its pixel, bool (N, *S)."""
        word = (
            self.sets[:, 0] if self.sets.shape[1] == 1 else self.sets.gather(1, labels[:, None].long() // _WORD)[:, 0]
        )
        return (word >> (labels % _WORD).to(torch.int32) & 1).bool()

    def __and__(self, other: Any) -> Any:
        return other & self if isinstance(other, LabelMap) else super().__and__(other)


class Union(LazyMap):
    """a OR b of two one-hot maps: its size is |a| + |b| - |a AND b|."""

    def __init__(self, a: LabelMap, b: LabelMap):
        self.a, self.b, self.shape = a, b, a.shape

    def dense(self) -> Tensor:
        return self.a.dense() | self.b.dense()

    def total(self, mask: Tensor) -> Tensor:
        return self.a.total(mask) + self.b.total(mask) - (self.a & self.b).total(mask)
