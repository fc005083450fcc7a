"""Transforms of whole batches on any device: normalisation, and augmentation for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosegloss.data.colours import Colours, recolour
from autosegloss.errors import InputError

# Mean and standard deviation of ImageNet's channels on the scale 0..255, which pretrained encoders expect.
MEAN = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)


def normalise(images: Tensor, colours: Tensor | None = None) -> Tensor:
    """Images (N, B, H, W) on the scale 0..255 as float32 of mean 0 and deviation 1 over ImageNet.

    Three bands are red, green and blue: the mean colour becomes 0. Bands of another number all take the average of
    the three means and of the three deviations. colours: (N, 3, 4), the colour maps to apply first (see `recolour`).
    """
    if colours is not None:
        images = recolour(images, colours)
    mean, deviation = _statistics(images)
    return (images - mean) / deviation


def denormalise(images: Tensor) -> Tensor:
    """Normalised images (N, B, H, W) on the scale 0..255 again."""
    mean, deviation = _statistics(images)
    return images * deviation + mean


def as_rgb(images: Tensor) -> Tensor:
    """Images (..., B, H, W) on the scale 0..255 to look at, uint8 (..., 3, H, W).

    Their first three bands become red, green and blue; fewer bands are shown by the first, in grey.
    """
    bands = [0, 1, 2] if images.shape[-3] >= 3 else [0, 0, 0]
    return images[..., bands, :, :].round().clamp(0, 255).byte()


def _statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the deviation of each band of images (N, B, H, W) on the scale 0..255."""
    mean, deviation = (MEAN, STD) if images.shape[1] == len(MEAN) else (MEAN.mean(), STD.mean())
    return mean.to(images.device), deviation.to(images.device)


class AugmentParams(NamedTuple):
    """The random parameters of one sample. They are numpy's, which worker processes receive at less cost than tensors.

    zoom: above 0. mirror: -1 or 1. place: (2,) in [-1, 1], the position of the window from left to right and from top
    to bottom. colours: (3, 4), a colour map; None leaves the colours.
    """

    zoom: float
    mirror: float
    place: np.ndarray
    colours: np.ndarray | None = None


@dataclass(frozen=True)
class Augment:
    """Random scaling, cropping, mirroring and recolouring, drawn for each sample by itself.

    Args:
        scale: the range of the zoom; above 1 a random window is cut out, below 1 the image lies at a random place in
            padding.
        flip: the probability of mirroring left and right.
        colours: how the colours vary; None leaves them.

    Raises:
        InputError: if `scale` is not a range of positive numbers, or `flip` not a probability.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    flip: float = 0.5
    colours: Colours | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", tuple(self.scale))  # a config gives a list
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"augment.scale must be [low, high] with 0 < low <= high, got {list(self.scale)}")
        if not 0 <= self.flip <= 1:
            raise InputError(f"augment.flip must be a probability in [0, 1], got {self.flip}")

    def draw(self, count: int, rng: np.random.Generator) -> list[AugmentParams]:
        """The parameters of `count` samples; colours are drawn last, so that they do not change the others."""
        zoom = rng.uniform(*self.scale, count)
        mirror = np.where(rng.random(count) < self.flip, -1.0, 1.0)
        place = rng.uniform(-1, 1, (2, count)).T
        if self.colours and self.colours.probability:
            return list(map(AugmentParams, zoom, mirror, place, self.colours.draw(count, rng).numpy()))
        return list(map(AugmentParams, zoom, mirror, place))


def affine_maps(params: Sequence[AugmentParams], source: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Affine maps float32 (N, 2, 3) from windows of size `target` to images of size `source`.

    Both sizes are (H, W) in pixels; the coordinates (x, y) of both run from -1 to 1, as those of
    `torch.nn.functional.affine_grid`.
    """
    zoom, mirror = np.array([p.zoom for p in params]), np.array([p.mirror for p in params])
    place = np.stack([p.place for p in params])
    x, y = (target[i] / source[i] / zoom for i in (1, 0))
    # |shift| <= |1 - window/image| keeps the window inside the image, or the image inside the window.
    left, top = (place[:, i] * abs(1 - window) for i, window in enumerate((x, y)))
    zero = np.zeros_like(x)
    rows = np.array([[mirror * x, zero, left], [zero, y, top]])  # (2, 3, N)
    return torch.from_numpy(rows.transpose(2, 0, 1)).float().contiguous()


def colour_maps(params: Sequence[AugmentParams]) -> Tensor | None:
    """The colour maps float32 (N, 3, 4) of N samples; None if their colours stay."""
    maps = [p.colours for p in params if p.colours is not None]
    return torch.from_numpy(np.stack(maps)) if maps else None


def warp(
    images: Tensor, labels: Tensor, maps: Tensor, size: tuple[int, int], ignore_index: int
) -> tuple[Tensor, Tensor]:
    """Apply an affine map to each image and its label.

    Args:
        images: normalised, float32 (N, B, H, W).
        labels: uint8 (N, ..., H, W).
        maps: (N, 2, 3), see `affine_maps`.
        size: (H, W) of the result in pixels.
        ignore_index: the label outside an image.

    Returns:
        images float32 (N, B, *size), 0 (the mean colour) outside an image, and labels int64 (N, ..., *size), taken from
        the nearest pixel.
    """
    grid = F.affine_grid(maps.to(images.device), [len(images), 1, *size], align_corners=False)
    images = F.grid_sample(images, grid, align_corners=False)
    # grid_sample pads with zeros: shift the labels so that zero means ignore_index.
    shifted = labels.reshape(len(labels), -1, *labels.shape[-2:]).float() - ignore_index
    found = F.grid_sample(shifted, grid, mode="nearest", align_corners=False) + ignore_index
    return images, found.round().long().reshape(*labels.shape[:-2], *size)
