"""Random changes of colour, each a linear map of (R, G, B), so that a whole batch takes one product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from autosegloss.errors import InputError, is_number

# RGB to brightness (first row) and two axes of chroma: the YIQ colour space of the NTSC standard.
YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


@dataclass(frozen=True)
class Colours:
    """How colours vary: each of the four with its probability, by an amount drawn evenly.

    brightness: up to so many of 255 steps more or less. contrast, saturation: up to such a share more or less.
    hue: up to so many degrees, a rotation of the chroma in YIQ. Values stay in 0..255. The defaults are those of the
    usual photometric distortion of segmentation code bases (Liu et al. 2016, SSD); there hue and saturation are
    changed in HSV. Raises InputError for an amount or probability that is none.
    """

    brightness: float = 32
    contrast: float = 0.5
    saturation: float = 0.5
    hue: float = 36
    probability: float = 0.5

    def __post_init__(self):
        for name, most in {"brightness": 255, "contrast": 1, "saturation": 1, "hue": 180, "probability": 1}.items():
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= most:
                raise InputError(f"augment.colours.{name} must be a number from 0 to {most}, got {value!r}")

    def draw(self, count: int, rng: np.random.Generator) -> Tensor:
        """`count` random linear maps (count, 3, 4) of colours on the scale 0..255; the last column is added."""
        amounts = rng.uniform(-1, 1, (4, count)) * (rng.random((4, count)) < self.probability)
        most = np.array([self.brightness, self.contrast, self.saturation, np.deg2rad(self.hue)])
        brightness, contrast, saturation, hue = amounts * most[:, None]
        cos, sin, zero = (1 + saturation) * np.cos(hue), (1 + saturation) * np.sin(hue), np.zeros(count)
        chroma = np.array([[zero + 1, zero, zero], [zero, cos, -sin], [zero, sin, cos]]).transpose(2, 0, 1)
        matrix = (1 + contrast)[:, None, None] * (np.linalg.inv(YIQ) @ chroma @ YIQ)
        offset = np.broadcast_to(((1 + contrast) * brightness)[:, None, None], (count, 3, 1))
        return torch.from_numpy(np.concatenate([matrix, offset], axis=2)).float()


def recolour(images: Tensor, maps: Tensor) -> Tensor:
    """Apply one map (3, 4) to each of the images (N, 3, H, W) on the scale 0..255, which they keep -> float32."""
    maps = maps.to(images.device)
    mixed = torch.einsum("nij,njhw->nihw", maps[:, :, :3], images.float())
    return (mixed + maps[:, :, 3, None, None]).clamp_(0, 255)
