"""A split in memory: read and decoded once per process, resized, checked and kept as tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from autosegloss.data.datasets.source import Sample, Source
from autosegloss.data.reading import load_sample, map_in_threads
from autosegloss.data.splits import Split
from autosegloss.errors import InputError

SHARE = 0.25  # of a device's free memory that a split may take


@dataclass(frozen=True)
class Resize:
    """Resizes images and labels to `size` (H, W) in pixels.

    keep_aspect: False stretches an image to `size`; True scales it until it covers `size` and cuts out its centre.
    """

    size: tuple[int, int]
    keep_aspect: bool = False

    def __call__(self, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """The image (B, H, W) and the label (H, W) at the new size; labels are taken from the nearest pixel."""
        if self.size == tuple(label.shape):
            return image, label
        size = list(self._covering(label) if self.keep_aspect else self.size)
        image = tv.resize(image, size, antialias=True)
        label = tv.resize(label[None], size, interpolation=tv.InterpolationMode.NEAREST_EXACT)[0]
        return tv.center_crop(image, list(self.size)), tv.center_crop(label, list(self.size))

    def _covering(self, label: Tensor) -> tuple[int, int]:
        """The smallest size of the label's aspect that covers `size`."""
        (height, width), (source_height, source_width) = self.size, label.shape
        zoom = max(height / source_height, width / source_width)
        return max(height, ceil(zoom * source_height - 0.5)), max(width, ceil(zoom * source_width - 0.5))


@dataclass(frozen=True)
class MemorySplit(Split):
    """Images (N, B, H, W) and labels uint8 (N, H, W) on one device; shared between runs, so read-only.

    Images are uint8, or float32 on the scale 0..255 where a file has more than 8 bits.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def stacks(self, indices: Sequence[int]) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """All samples in one stack."""
        index = torch.tensor(indices, device=self.labels.device)
        yield slice(None), self.images[index], self.labels[index]

    def class_counts(self, indices: Sequence[int], num_classes: int) -> Tensor:
        counts = torch.zeros(256, dtype=torch.int64)
        for index in indices:
            counts += torch.bincount(self.labels[index].flatten().cpu(), minlength=256)
        return counts[:num_classes]

    def to(self, device: torch.device, free: int) -> MemorySplit:
        """The split on `device` if it takes at most a quarter of the `free` bytes there, else this one."""
        fits = self.images.nbytes + self.labels.nbytes <= SHARE * free
        return MemorySplit(self.images.to(device), self.labels.to(device)) if fits else self


@lru_cache(maxsize=6)  # the three splits of two data sets
def decode(source: Source, split: str, resize: Resize | None, device: torch.device | None = None) -> MemorySplit:
    """Load a split of a source into memory, once per process; later changes of its files go unnoticed.

    Args:
        resize: brings every image to one size; None keeps the sizes, which must then be equal.
        device: where the split is kept if there is room for it; the host's memory otherwise.

    Raises:
        InputError: for an empty split, a label that is no class, or images of different sizes without `resize`.
    """
    if device is not None and device.type != "cpu":
        return decode(source, split, resize).to(device, _free_memory(device))
    samples = source.samples(split)
    pairs = map_in_threads(lambda sample: _load(sample, source, resize), samples)
    if not pairs:
        raise InputError(f"the data have no '{split}' split, or it is empty: {source}; add the images")
    _check_one_size(samples, pairs)
    images, labels = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    return MemorySplit(images, labels)


def _load(sample: Sample, source: Source, resize: Resize | None) -> tuple[Tensor, Tensor]:
    image, label = load_sample(sample, source)
    return (image, label) if resize is None else resize(image, label)


def _free_memory(device: torch.device) -> int:
    """The free bytes of a GPU; 0 for other devices, on which no split is kept."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


def _check_one_size(samples: Sequence[Sample], pairs: list[tuple[Tensor, Tensor]]) -> None:
    first = tuple(pairs[0][1].shape)
    for sample, (_, label) in zip(samples, pairs, strict=True):
        if tuple(label.shape) != first:
            raise InputError(
                f"images differ in size: {samples[0].name} has {first[0]}x{first[1]}, {sample.name} has "
                f"{label.shape[0]}x{label.shape[1]} (HxW): set data.size=[H,W] to resize them all"
            )
