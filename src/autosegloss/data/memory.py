"""Decoded data: a split read once per process, resized, checked and kept as uint8 tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from autosegloss.data.datasets.source import Sample, Source
from autosegloss.data.disk import in_threads, load
from autosegloss.errors import InputError

_SHARE = 0.25  # of a device's free memory that a split may take


@dataclass(frozen=True)
class Fit:
    """How images come to the size (H, W) in pixels: stretched to it, or with their aspect kept, the middle cut out."""

    size: tuple[int, int]
    keep_aspect: bool = False

    def __call__(self, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        if self.size == tuple(label.shape):
            return image, label
        size = list(self._covering(label) if self.keep_aspect else self.size)
        image = tv.resize(image, size, antialias=True)
        label = tv.resize(label[None], size, interpolation=tv.InterpolationMode.NEAREST_EXACT)[0]
        return tv.center_crop(image, list(self.size)), tv.center_crop(label, list(self.size))

    def _covering(self, label: Tensor) -> tuple[int, int]:
        """The size at which an image just covers the window."""
        zoom = max(wanted / has for wanted, has in zip(self.size, label.shape, strict=True))
        return tuple(max(wanted, ceil(zoom * has - 0.5)) for wanted, has in zip(self.size, label.shape, strict=True))


@dataclass(frozen=True)
class Decoded:
    """A split in memory; shared between all who ask for it, so nobody may write to it.

    images: (N, 3, H, W) uint8; labels: (N, H, W) uint8; both on one device.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def stacks(self, indices: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """The samples at `indices`, all in one piece: which they are of the batch, images, labels."""
        indices = indices.to(self.labels.device)
        yield slice(None), self.images[indices], self.labels[indices]

    def counts(self, indices: Sequence[int], classes: int) -> Tensor:
        """Pixels of each class (C,) int64 among the samples at `indices`."""
        counts = torch.zeros(256, dtype=torch.int64)
        for index in indices:
            counts += torch.bincount(self.labels[index].flatten().cpu(), minlength=256)
        return counts[:classes]


@lru_cache(maxsize=6)  # the three splits of two data sets
def decode(source: Source, split: str, fit: Fit | None, device: torch.device | None = None) -> Decoded:
    """Load a split, each image brought to size by `fit` if given; changes on disk are not noticed later.

    It lies on `device` if that has room for it, else in the memory of the host.
    Raises InputError for a label that is no class, and for images of different sizes without a `fit`.
    """
    if device is not None and device.type != "cpu":
        data = decode(source, split, fit)
        room = _SHARE * _free_memory(device)
        fits = data.images.nbytes + data.labels.nbytes <= room
        return Decoded(data.images.to(device), data.labels.to(device)) if fits else data
    samples = source.samples(split)
    pairs = in_threads(lambda sample: _load(sample, source, fit), samples)
    if not pairs:
        raise InputError(f"the data have no '{split}' split, or it is empty: {source}; add the images")
    _check_one_size(samples, pairs)
    images, labels = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    return Decoded(images, labels)


def _load(sample: Sample, source: Source, fit: Fit | None) -> tuple[Tensor, Tensor]:
    image, label = load(sample, source)
    return (image, label) if fit is None else fit(image, label)


def _free_memory(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


def _check_one_size(samples: Sequence[Sample], pairs: list[tuple[Tensor, Tensor]]) -> None:
    first = tuple(pairs[0][1].shape)
    for sample, (_, label) in zip(samples, pairs, strict=True):
        if tuple(label.shape) != first:
            raise InputError(
                f"images differ in size: {samples[0].name} has {first[0]}x{first[1]}, {sample.name} has "
                f"{label.shape[0]}x{label.shape[1]} (HxW): set data.size=[H,W] to resize them all"
            )
