"""Random colour augmentation: linear maps of (R, G, B), applied to a whole batch by one matrix product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from autosegloss.errors import InputError, is_number

# From RGB to the YIQ colour space of the NTSC standard: brightness (first row) and two axes of chroma.
YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


@dataclass(frozen=True)
class Colours:
    """Random brightness, contrast, saturation and hue, each changed with the same probability by a uniform amount.

    The defaults are those of the photometric distortion that is usual in segmentation (Liu et al. 2016, SSD), which
    changes hue and saturation in HSV instead of YIQ.

    Args:
        brightness: the largest shift in either direction, on the scale 0..255.
        contrast: the largest relative change.
        saturation: the largest relative change.
        hue: the largest rotation of the chroma, in degrees.
        probability: of each of the four changes.

    Raises:
        InputError: if a value is not a number in its range.
    """

    brightness: float = 32
    contrast: float = 0.5
    saturation: float = 0.5
    hue: float = 36
    probability: float = 0.5

    def __post_init__(self) -> None:
        for name, most in {"brightness": 255, "contrast": 1, "saturation": 1, "hue": 180, "probability": 1}.items():
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= most:
                raise InputError(f"augment.colours.{name} must be a number from 0 to {most}, got {value!r}")

    def draw(self, count: int, rng: np.random.Generator) -> Tensor:
        """`count` random colour maps, float32 (count, 3, 4): a matrix and, in the last column, what is added."""
        amounts = rng.uniform(-1, 1, (4, count)) * (rng.random((4, count)) < self.probability)
        most = np.array([self.brightness, self.contrast, self.saturation, np.deg2rad(self.hue)])
        brightness, contrast, saturation, hue = amounts * most[:, None]
        cos, sin, zero = (1 + saturation) * np.cos(hue), (1 + saturation) * np.sin(hue), np.zeros(count)
        chroma = np.array([[zero + 1, zero, zero], [zero, cos, -sin], [zero, sin, cos]]).transpose(2, 0, 1)
        matrix = (1 + contrast)[:, None, None] * (np.linalg.inv(YIQ) @ chroma @ YIQ)
        offset = np.broadcast_to(((1 + contrast) * brightness)[:, None, None], (count, 3, 1))
        return torch.from_numpy(np.concatenate([matrix, offset], axis=2)).float()


def recolour(images: Tensor, maps: Tensor) -> Tensor:
    """Apply a colour map of maps (N, 3, 4) to each of images (N, 3, H, W); float32, clamped to the scale 0..255."""
    maps = maps.to(images.device)
    mixed = torch.einsum("nij,njhw->nihw", maps[:, :, :3], images.float())
    return (mixed + maps[:, :, 3, None, None]).clamp_(0, 255)
