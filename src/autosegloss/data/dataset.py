"""The torch Dataset: from the keys of a batch to normalised, augmented images and their labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from autosegloss.data.samplers import SampleKey
from autosegloss.data.splits import Split
from autosegloss.data.transforms import AugmentParams, affine_maps, colour_maps, normalise, warp

Stack = tuple[Tensor, Tensor]
"""Images float32 (n, B, H, W) of one size and their labels int64 (n, ..., H', W') of one size."""


class SegmentationDataset(Dataset[Stack]):
    """The samples of a split, transformed: images float32 (B, H, W), labels int64 (..., H', W').

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

    def __getitem__(self, key: SampleKey) -> Stack:
        ((images, labels),) = self.__getitems__([key])
        return images[0], labels[0]

    def __getitems__(self, keys: Sequence[SampleKey]) -> list[Stack]:
        """The samples of a batch in order, in the stacks of the split; a collate function joins them."""
        params = [key.params for key in keys]
        return [
            self._transformed(images.to(self.device), labels.to(self.device), params[which])
            for which, images, labels in self.split.stacks([key.index for key in keys])
        ]

    def _transformed(self, images: Tensor, labels: Tensor, params: Sequence[AugmentParams | None]) -> Stack:
        drawn = [p for p in params if p is not None]
        if not drawn:
            return normalise(images), labels.long()
        height, width = labels.shape[-2:]
        size = self.crop or (height, width)
        maps = affine_maps(drawn, (height, width), size)
        return warp(normalise(images, colour_maps(drawn)), labels, maps, size, self.ignore_index)


def joined(stacks: Sequence[Stack]) -> Stack:
    """The collate function of training: one stack of all samples, which have one size."""
    if len(stacks) == 1:
        return stacks[0]
    images, labels = zip(*stacks, strict=True)
    return torch.cat(images), torch.cat(labels)


def by_size(stacks: Sequence[Stack]) -> list[Stack]:
    """The collate function of evaluation: a stack for each size, so that no image is padded to that of another."""
    groups = defaultdict(list)
    for images, labels in stacks:
        groups[images.shape[1:], labels.shape[1:]].append((images, labels))
    return [joined(group) for group in groups.values()]
