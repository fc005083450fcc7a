"""From stored uint8 batches to what a network is fed: normalisation, and augmentation for training.

All of it works on whole batches, on whatever device they lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosegloss.data.colours import Colours, recolour
from autosegloss.errors import InputError

# Mean and deviation of ImageNet's colours, on the scale 0..255: what pretrained encoders expect.
MEAN = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)


def normalise(images: Tensor, colours: Tensor | None = None) -> Tensor:
    """uint8 (N, 3, H, W) -> float32 of mean 0 and deviation 1 over ImageNet; the mean colour becomes 0.

    colours: (N, 3, 4), changes of colour to make first.
    """
    if colours is not None:
        images = recolour(images, colours)
    return (images - MEAN.to(images.device)) / STD.to(images.device)


@dataclass(frozen=True)
class Draws:
    """What was drawn for N samples.

    zoom: (N,) > 0; mirror: (N,) -1 or 1; place: (N, 2) in [-1, 1], of the window from left and top to right and bottom;
    colours: (N, 3, 4), or None where colours stay.
    """

    zoom: Tensor
    mirror: Tensor
    place: Tensor
    colours: Tensor | None = None

    def __getitem__(self, which: slice) -> Draws:
        colours = None if self.colours is None else self.colours[which]
        return Draws(self.zoom[which], self.mirror[which], self.place[which], colours)

    def maps(self, source: torch.Size, target: torch.Size) -> Tensor:
        """Affine maps (N, 2, 3) from a window of `target` (H, W) to images of `source` (H, W), both in [-1, 1]."""
        x, y = (target[i] / source[i] / self.zoom for i in (1, 0))
        # |shift| <= |1 - window/image| keeps the window inside the image, or the image inside the window.
        left, top = (self.place[:, i] * abs(1 - window) for i, window in enumerate((x, y)))
        zero = torch.zeros_like(x)
        rows = [[self.mirror * x, zero, left], [zero, y, top]]
        return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1).float()


@dataclass(frozen=True)
class Augment:
    """Random scaling, cropping, mirroring and colouring; every sample gets its own.

    scale: range of the zoom; above 1 a random window is cut out, below 1 the image lies anywhere in padding.
    flip: the probability of mirroring left and right. colours: how colours vary; None leaves them.
    Raises InputError for a range or probability that is none.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    flip: float = 0.5
    colours: Colours | None = None

    def __post_init__(self):
        object.__setattr__(self, "scale", tuple(self.scale))  # a list, if it comes from a config
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"augment.scale must be [low, high] with 0 < low <= high, got {list(self.scale)}")
        if not 0 <= self.flip <= 1:
            raise InputError(f"augment.flip must be a probability in [0, 1], got {self.flip}")

    def draw(self, count: int, rng: np.random.Generator) -> Draws:
        """Draw for `count` samples; colours last, so that they do not change the rest."""
        zoom = rng.uniform(*self.scale, count)
        mirror = np.where(rng.random(count) < self.flip, -1.0, 1.0)
        place = rng.uniform(-1, 1, (2, count)).T
        colours = self.colours.draw(count, rng) if self.colours and self.colours.probability else None
        return Draws(torch.from_numpy(zoom), torch.from_numpy(mirror), torch.from_numpy(place), colours)


def warp(images: Tensor, labels: Tensor, maps: Tensor, size: torch.Size, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Apply one affine map (2, 3) to each of the normalised images (N, 3, H, W) and uint8 labels (N, H, W).

    The result has `size` (H, W). Outside an image lie 0, the mean colour, and ignore_index. Labels are taken from the
    nearest pixel.
    """
    grid = F.affine_grid(maps.to(images.device), [len(images), 3, *size], align_corners=False)
    images = F.grid_sample(images, grid, align_corners=False)
    # grid_sample pads with zeros: shift the labels so that zero means ignore_index.
    shifted = labels[:, None].float() - ignore_index
    labels = F.grid_sample(shifted, grid, mode="nearest", align_corners=False)[:, 0] + ignore_index
    return images, labels.round().long()


def pad(images: Tensor, labels: Tensor, size: tuple[int, int], ignore_index: int) -> tuple[Tensor, Tensor]:
    """Extend normalised images and labels to `size` (H, W), at the right and below, with what counts for nothing."""
    extra = (0, size[1] - labels.shape[2], 0, size[0] - labels.shape[1])
    return F.pad(images, extra), F.pad(labels, extra, value=ignore_index)
