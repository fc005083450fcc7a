"""Decoded data: a split read once per process, resized, checked and kept as uint8 tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from autosegloss.data.source import Sample, Source
from autosegloss.errors import InputError


@dataclass(frozen=True)
class Decoded:
    """A split in memory; shared between all who ask for it, so nobody may write to it.

    images: (N, 3, H, W) uint8; labels: (N, H, W) uint8; names: N strings.
    """

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]


@lru_cache(maxsize=6)  # the three splits of two data sets
def decode(source: Source, split: str, size: tuple[int, int] | None) -> Decoded:
    """Load a split at size (H, W) in pixels, None for the images' own; changes on disk are not noticed later.

    Raises InputError for a label that is no class, and for images of different sizes if no size is given.
    """
    samples = source.samples(split)
    pairs = [_load(sample, source, size) for sample in samples]
    if not pairs:
        raise InputError(f"the data have no '{split}' split, or it is empty: {source}; add the images")
    _check_one_size(samples, pairs)
    images, labels = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    return Decoded(images, labels, tuple(sample.name for sample in samples))


def _load(sample: Sample, source: Source, size: tuple[int, int] | None) -> tuple[Tensor, Tensor]:
    image, label = sample.load()
    _check_labels(sample.mask or sample.name, label, source)
    if size is not None and size != tuple(label.shape):
        image = tv.resize(image, list(size), antialias=True)
        label = tv.resize(label[None], list(size), interpolation=tv.InterpolationMode.NEAREST_EXACT)[0]
    return image, label


def _check_labels(name: str, label: Tensor, source: Source) -> None:
    strange = [v for v in label.unique().tolist() if v >= source.num_classes and v != source.ignore_index]
    if strange:
        shown = ", ".join(map(str, strange[:5])) + (", ..." if len(strange) > 5 else "")
        raise InputError(
            f"{name}: label {shown} is no class: expected 0..{source.num_classes - 1}, "
            f"or {source.ignore_index} for pixels to ignore; correct the mask or the number of classes"
        )


def _check_one_size(samples: Sequence[Sample], pairs: list[tuple[Tensor, Tensor]]) -> None:
    first = tuple(pairs[0][1].shape)
    for sample, (_, label) in zip(samples, pairs, strict=True):
        if tuple(label.shape) != first:
            raise InputError(
                f"images differ in size: {samples[0].name} has {first[0]}x{first[1]}, {sample.name} has "
                f"{label.shape[0]}x{label.shape[1]} (HxW): set data.size=[H,W] to resize them all"
            )
