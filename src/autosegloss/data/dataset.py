"""The torch Dataset: from the keys of a batch to normalised, augmented images and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.data import Dataset

from autosegloss.data.samplers import SampleKey
from autosegloss.data.splits import Split
from autosegloss.data.transforms import AugmentParams, affine_maps, colour_maps, normalise, pad, warp

Batch = TypeVar("Batch")


class SegmentationDataset(Dataset[tuple[Tensor, Tensor]]):
    """The samples of a split, transformed: images float32 (B, H, W), labels int64 (H, W).

    Batches are transformed as a whole, by `__getitems__`, so that a GPU can do it.

    Args:
        split: the samples.
        ignore_index: the label of padding.
        crop: (H, W) of an augmented sample in pixels; None keeps the size of the image.
        device: where batches are made.
    """

    def __init__(
        self,
        split: Split,
        ignore_index: int,
        crop: tuple[int, int] | None = None,
        device: torch.device | str = "cpu",
    ):
        self.split, self.ignore_index, self.crop, self.device = split, ignore_index, crop, device

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: SampleKey) -> tuple[Tensor, Tensor]:
        images, labels = self.__getitems__([key])
        return images[0], labels[0]

    def __getitems__(self, keys: Sequence[SampleKey]) -> tuple[Tensor, Tensor]:
        """A batch: images (N, B, H, W) and labels (N, H, W), padded to the largest where sizes differ."""
        params = [key.params for key in keys]
        stacks = [
            self._transformed(images.to(self.device), labels.to(self.device), params[which])
            for which, images, labels in self.split.stacks([key.index for key in keys])
        ]
        if len(stacks) == 1:
            return stacks[0]
        height, width = (max(labels.shape[axis] for _, labels in stacks) for axis in (1, 2))
        padded = [pad(images, labels, (height, width), self.ignore_index) for images, labels in stacks]
        images, labels = zip(*padded, strict=True)
        return torch.cat(images), torch.cat(labels)

    def _transformed(
        self, images: Tensor, labels: Tensor, params: Sequence[AugmentParams | None]
    ) -> tuple[Tensor, Tensor]:
        drawn = [p for p in params if p is not None]
        if not drawn:
            return normalise(images), labels.long()
        height, width = labels.shape[1:]
        size = self.crop or (height, width)
        maps = affine_maps(drawn, (height, width), size)
        return warp(normalise(images, colour_maps(drawn)), labels, maps, size, self.ignore_index)


def as_batch(batch: Batch) -> Batch:
    """The collate function of a loader: `SegmentationDataset.__getitems__` gives a batch already."""
    return batch
