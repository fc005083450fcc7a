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
        """The image (B, H, W) and the label (..., H, W) at the new size; labels are taken from the nearest pixel."""
        maps = label.reshape(-1, *label.shape[-2:])
        resized = self._resized(maps, tv.InterpolationMode.NEAREST_EXACT)
        return self.image(image), resized.reshape(*label.shape[:-2], *resized.shape[1:])

    def image(self, image: Tensor) -> Tensor:
        """The image (B, H, W) at the new size."""
        return self._resized(image, tv.InterpolationMode.BILINEAR)

    def shown(self, label: Tensor) -> Tensor:
        """The part of a label (..., H, W) of its own size that the resized image shows, to the nearest whole pixels."""
        if not self.keep_aspect:
            return label
        own = label.shape[-2:]
        rows, columns = map(_middle, own, self._scaled(own), self.size)
        return label[..., rows, columns]

    def uncut(self, image: Tensor, interpolation: tv.InterpolationMode = tv.InterpolationMode.BILINEAR) -> Tensor:
        """The image (B, H, W) at the scale of the new size, whole: with keep_aspect it may be larger than that."""
        return tv.resize(image, self._scaled(image.shape[1:]), interpolation=interpolation, antialias=True)

    def _resized(self, image: Tensor, interpolation: tv.InterpolationMode) -> Tensor:
        if tuple(image.shape[1:]) == self.size:
            return image
        return tv.center_crop(self.uncut(image, interpolation), list(self.size))

    def _scaled(self, own: torch.Size) -> list[int]:
        """The size to scale an image to: with keep_aspect the smallest of its aspect that covers `size`."""
        if not self.keep_aspect:
            return list(self.size)
        zoom = max(size / length for size, length in zip(self.size, own, strict=True))
        return [max(size, ceil(zoom * length - 0.5)) for size, length in zip(self.size, own, strict=True)]


def _middle(own: int, scaled: int, size: int) -> slice:
    """Where `own` pixels, scaled to `scaled` pixels, show in the `size` pixels in the middle."""
    first = round((scaled - size) / 2)  # as torchvision's center_crop
    begin, end = (round(edge * own / scaled) for edge in (first, first + size))
    return slice(min(begin, own - 1), max(begin + 1, end))


@dataclass(frozen=True)
class MemorySplit(Split):
    """Images (N, B, H, W) and labels uint8 (N, ..., H, W) on one device; shared between runs, so read-only.

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
    first = tuple(pairs[0][1].shape[-2:])
    for sample, (_, label) in zip(samples, pairs, strict=True):
        if tuple(label.shape[-2:]) != first:
            raise InputError(
                f"images differ in size: {samples[0].name} has {first[0]}x{first[1]}, {sample.name} has "
                f"{label.shape[-2]}x{label.shape[-1]} (HxW): set data.size=[H,W] to resize them all"
            )
