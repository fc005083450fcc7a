"""Samples to judge: images at the size that the network sees, masks at their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from torch import Tensor

from autosegloss.data.datasets.source import Source
from autosegloss.data.memory import Resize
from autosegloss.data.reading import load_sample, map_in_threads
from autosegloss.data.splits import Split


@dataclass(frozen=True)
class OwnSizeSplit(Split):
    """Some samples of a split, in memory; shared between runs, so read-only.

    samples: by the index in the split the image (3, H, W) and the label uint8 (H', W'); labels may differ in size.
    """

    samples: Mapping[int, tuple[Tensor, Tensor]]

    def __len__(self) -> int:
        return len(self.samples)

    def stacks(self, indices: Sequence[int]) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """One stack per sample."""
        for k, index in enumerate(indices):
            image, label = self.samples[index]
            yield slice(k, k + 1), image[None], label[None]


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

    return OwnSizeSplit(dict(zip(indices, map_in_threads(load, indices), strict=True)))
