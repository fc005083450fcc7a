"""What a dataset reads its samples from: one split of a source, in memory or on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


class Split(ABC):
    """The images and labels of one split.

    `MemorySplit` holds them decoded, all of one size, `OwnSizeSplit` with labels of their own sizes; `DiskSplit` reads
    their files.
    """

    @abstractmethod
    def __len__(self) -> int:
        """The number of samples."""

    @abstractmethod
    def stacks(self, indices: Sequence[int]) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """The samples at `indices`, in this order, in stacks of one size of image and one size of label.

        Yields:
            the positions within `indices` that a stack covers, its images (n, B, H, W), uint8 or float32 on the
            scale 0..255, and its labels uint8 (n, H', W'), or (n, C, H', W') of classes that do not exclude each other.
        """

    def label_counts(self, indices: Sequence[int]) -> Tensor:
        """The number of pixels of each label, int64 (n, 256), in each of the samples at `indices`."""
        counts = [
            counted_labels(label.cpu())
            for index in indices
            for _, _, labels in self.stacks([index])
            for label in labels
        ]
        return torch.stack(counts)

    def class_counts(self, indices: Sequence[int], num_classes: int) -> Tensor:
        """The number of pixels of each class, int64 (C,), over the samples at `indices`."""
        return self.label_counts(indices).sum(dim=0)[:num_classes]


def counted_labels(label: Tensor) -> Tensor:
    """The number of pixels of each label, int64 (256,), in a label (H, W), or of each class in one of (C, H, W)."""
    if label.ndim == 2:
        return torch.bincount(label.flatten(), minlength=256)
    held = (label == 1).flatten(1).sum(dim=1)
    return torch.cat([held, held.new_zeros(256 - len(held))])
