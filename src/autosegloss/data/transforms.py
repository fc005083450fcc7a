"""From stored uint8 batches to what a network is fed: normalisation, and augmentation for training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosegloss.errors import InputError

# Mean and deviation of ImageNet's colours, on the scale 0..255: what pretrained encoders expect.
MEAN = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)


def normalise(images: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) -> float32 of mean 0 and deviation 1 over ImageNet; the mean colour becomes 0."""
    return (images - MEAN) / STD


@dataclass(frozen=True)
class Augment:
    """Random scaling, cropping and mirroring; every sample gets its own.

    scale: range of the zoom; above 1 a random window is cut out, below 1 the image lies anywhere in padding.
    flip: the probability of mirroring left and right.
    Raises InputError for a range or probability that is none.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    flip: float = 0.5

    def __post_init__(self):
        object.__setattr__(self, "scale", tuple(self.scale))  # a list, if it comes from a config
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"augment.scale must be [low, high] with 0 < low <= high, got {list(self.scale)}")
        if not 0 <= self.flip <= 1:
            raise InputError(f"augment.flip must be a probability in [0, 1], got {self.flip}")

    def draw(self, count: int, rng: np.random.Generator) -> Tensor:
        """`count` random affine maps (count, 2, 3) from output to input coordinates, both in [-1, 1]."""
        scale = rng.uniform(*self.scale, count)
        mirror = np.where(rng.random(count) < self.flip, -1.0, 1.0)
        # |shift| <= |1 - 1/scale| keeps the window inside the image, or the image inside the window.
        shift = rng.uniform(-1, 1, (2, count)) * abs(1 - 1 / scale)
        zero = np.zeros(count)
        rows = [[mirror / scale, zero, shift[0]], [zero, 1 / scale, shift[1]]]
        return torch.from_numpy(np.array(rows)).permute(2, 0, 1).float()


def warp(images: Tensor, labels: Tensor, maps: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Apply one affine map (2, 3) to each of the normalised images (N, 3, H, W) and uint8 labels (N, H, W).

    Outside an image lie 0, the mean colour, and ignore_index. Labels are taken from the nearest pixel.
    """
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, align_corners=False)
    # grid_sample pads with zeros: shift the labels so that zero means ignore_index.
    shifted = labels[:, None].float() - ignore_index
    labels = F.grid_sample(shifted, grid, mode="nearest", align_corners=False)[:, 0] + ignore_index
    return images, labels.round().long()
