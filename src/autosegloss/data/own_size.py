"""Samples to judge: images at the size that the network sees, masks at their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from autosegloss.data.datasets.source import Source
from autosegloss.data.memory import Resize
from autosegloss.data.reading import load_sample, map_in_threads
from autosegloss.data.splits import Split


class Place(NamedTuple):
    """Where a sample lies in an `OwnSizeSplit`: its image, the first pixel of its label, its shape (..., H', W')."""

    image: int
    begin: int
    size: tuple[int, ...]


@dataclass(frozen=True)
class OwnSizeSplit(Split):
    """Some samples of a split, in memory; shared between runs, so read-only.

    There are two tensors however many samples: a worker process may get each tensor as an open file.

    images: (n, B, H, W). pixels: uint8, the labels one after the other, each in rows. places: by index in the split.
    """

    images: Tensor
    pixels: Tensor
    places: Mapping[int, Place]

    def __len__(self) -> int:
        return len(self.places)

    def stacks(self, indices: Sequence[int]) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """One stack per sample."""
        for k, index in enumerate(indices):
            image, begin, size = self.places[index]
            label = self.pixels[begin : begin + prod(size)].view(1, *size)
            yield slice(k, k + 1), self.images[image : image + 1], label


@lru_cache(maxsize=4)  # validation and test of two data sets
def decode_own_size(source: Source, split: str, indices: tuple[int, ...], resize: Resize) -> OwnSizeSplit:
    """Load samples of a split into memory, once per process; later changes of their files go unnoticed.

    Args:
        indices: of the samples in the split.
        resize: brings every image to one size; the label keeps its own, less what `resize` cuts off.

    Raises:
        InputError: for a label that is no class.
    """
    samples = source.samples(split)

    def load(index: int) -> tuple[Tensor, Tensor]:
        image, label = load_sample(samples[index], source)
        return resize.image(image), resize.shown(label)

    images, labels = zip(*map_in_threads(load, indices), strict=True)
    begins = accumulate((label.numel() for label in labels), initial=0)
    places = {
        index: Place(image, begin, tuple(label.shape))
        for image, (index, begin, label) in enumerate(zip(indices, begins, labels, strict=False))
    }
    return OwnSizeSplit(torch.stack(images), torch.cat([label.flatten() for label in labels]), places)
