"""What a prediction is held against: the map of the labels, and the pixels that count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from autosegloss.algebra.inputs import LabelMap
from autosegloss.algebra.maps import DenseMap, Map, map_of_labels

FEW = 2
"""Classes up to which labels are laid out."""


@dataclass(frozen=True, eq=False)
class Truth:
    """The map of the labels (N, C, *S), empty at ignored pixels.

    Args:
        true: one-hot labels, whose mask is `valid`, or a dense map, bool or of soft labels.
        valid: (N, 1, *S), bool, or (N, C, *S) where each class has pixels of its own to ignore.
    """

    true: LabelMap | DenseMap
    valid: Tensor

    def of_images(self, images: slice) -> Truth:
        """The truth of some of the images."""
        return self._part(images)

    def corner(self, side: int) -> Truth:
        """A corner of the first image."""
        space = (slice(side),) * (self.valid.ndim - 2)
        return self._part(slice(1), space)

    def laid_out(self) -> Truth:
        """Labels of few classes as a dense map on a CPU, where its sums cost less than work at each label."""
        few = isinstance(self.true, LabelMap) and self.true.num_classes <= FEW
        if not few or self.valid.device.type != "cpu":
            return self
        return Truth(DenseMap(self.true.dense()), self.valid)

    def packed(self) -> tuple[tuple[Tensor, Tensor], Callable[[Tensor, Tensor], Truth]]:
        """The tensors of the truth, and what makes a truth of such tensors again."""
        if isinstance(self.true, LabelMap):
            return (self.true.labels, self.valid), partial(_of_labels, self.true.num_classes)
        return (self.true.values, self.valid), _of_values

    def _part(self, images: slice, space: tuple[slice, ...] = ()) -> Truth:
        whole = (images, slice(None), *space)
        if isinstance(self.true, LabelMap):
            return _of_labels(self.true.num_classes, self.true.labels[(images, *space)], self.valid[whole])
        return _of_values(self.true.values[whole], self.valid[whole])


def _of_labels(num_classes: int, labels: Tensor, valid: Tensor) -> Truth:
    return Truth(LabelMap(labels, valid, num_classes), valid)


def _of_values(values: Tensor, valid: Tensor) -> Truth:
    return Truth(map_of_labels(values), valid)


def part_of(m: Map, images: slice) -> Map:
    """A crisp map of some of the images."""
    if isinstance(m, LabelMap):
        return LabelMap(m.labels[images], m.mask[images], m.num_classes)
    return DenseMap(m.dense()[images])
