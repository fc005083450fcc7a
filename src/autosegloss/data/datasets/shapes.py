"""Shapes: a generated data set, for demos and tests without a download."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from autosegloss.data.datasets.source import SPLITS, Sample, Source
from autosegloss.errors import whole_number

# Signed distance in pixels from (x, y), relative to the centre of a shape of radius r, to its outline; negative inside.
# The operations are + - * / sqrt abs min max: with IEEE arithmetic they give the same bits on every platform.


def _disc(x, y, r):
    return np.sqrt(x * x + y * y) - r


def _square(x, y, r):
    return np.maximum(abs(x), abs(y)) - 0.85 * r


def _ring(x, y, r):
    return abs(np.sqrt(x * x + y * y) - 0.75 * r) - 0.25 * r


def _cross(x, y, r):
    long, short = np.maximum(abs(x), abs(y)), np.minimum(abs(x), abs(y))
    return np.maximum(long - r, short - 0.3 * r)


def _wire(x, y, r):
    return np.maximum(abs(x) - 4 * r, abs(y) - 0.13 * r)


@dataclass(frozen=True)
class Kind:
    """A class of objects: its signed distance, its share among the objects, and its colour (RGB, 0..255)."""

    name: str
    outline: Callable[..., np.ndarray]
    share: float
    colour: tuple[int, int, int]


WARM, COOL = (215, 125, 85), (85, 125, 200)
# Rare classes share colour and silhouette with common ones: on such confusions the metrics disagree.
KINDS = (
    Kind("disc", _disc, 0.33, WARM),
    Kind("square", _square, 0.33, COOL),
    Kind("ring", _ring, 0.1, WARM),
    Kind("cross", _cross, 0.1, COOL),
    Kind("wire", _wire, 0.14, (95, 165, 85)),
)


@dataclass(frozen=True)
class Shapes(Source):
    """Overlapping discs, squares, rings, crosses and wires on a noisy, unevenly lit background.

    Args:
        train: the number of images of the split "train".
        val: likewise for "val".
        test: likewise for "test".
        size: height and width in pixels.
        seed: of the data set.

    Raises:
        InputError: for a setting that is not a whole number in its range.
    """

    train: int = 400
    val: int = 200
    test: int = 200
    size: int = 64
    seed: int = 0

    class_names = ("background", *(kind.name for kind in KINDS))

    def __post_init__(self) -> None:
        for name, least in (("train", 1), ("val", 0), ("test", 0), ("size", 1), ("seed", 0)):
            whole_number(f"data.source.{name}", getattr(self, name), least)

    def samples(self, split: str) -> list[Sample]:
        stream = SPLITS.index(split)
        return [
            Sample(f"shapes {split} #{i}", partial(draw, (self.seed, stream, i), self.size))
            for i in range(getattr(self, split))
        ]


def draw(seed: tuple[int, ...], size: int) -> tuple[Tensor, Tensor]:
    """One scene: image (3, size, size) and label (size, size), uint8; it depends on the arguments alone."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] + 0.5
    image = np.broadcast_to(rng.uniform(115, 145, (3, 1, 1)), (3, size, size))
    label = np.zeros((size, size), np.uint8)
    shares = [kind.share for kind in KINDS]
    for k in rng.choice(len(KINDS), size=rng.integers(3, 8), p=shares):
        distance = _place(rng, KINDS[k].outline, x, y, size)
        colour = np.reshape(KINDS[k].colour, (3, 1, 1)) + rng.uniform(-40, 40, (3, 1, 1))
        cover = np.clip(0.5 - distance, 0, 1)
        image = image + cover * (colour - image)
        label[distance < 0] = k + 1
    image = image + _lighting(rng, x / size, y / size) + _grain(rng, size)
    return torch.from_numpy(np.clip(image, 0, 255).astype(np.uint8)), torch.from_numpy(label)


def _place(rng, outline, x, y, size):
    """The signed distance map (size, size) of a shape at a random place, radius and direction."""
    radius = size * rng.uniform(0.07, 0.16)
    cx, cy = rng.uniform(0, size, 2)
    dx, dy = rng.uniform(-1, 1, 2)
    norm = np.sqrt(dx * dx + dy * dy)
    dx, dy = dx / norm, dy / norm
    return outline((x - cx) * dx + (y - cy) * dy, (y - cy) * dx - (x - cx) * dy, radius)


def _lighting(rng, x, y):
    """A random linear gradient of brightness over the image; x and y in 0..1."""
    slope_x, slope_y = rng.uniform(-40, 40, 2)
    return slope_x * (x - 0.5) + slope_y * (y - 0.5)


def _grain(rng, size):
    """Noise (3, size, size) of single pixels, and of blocks of 4 x 4 pixels that look like small structures."""
    fine = rng.integers(-20, 21, (3, size, size))
    coarse = rng.integers(-10, 11, (3, -(-size // 4), -(-size // 4)))
    return fine + coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :size, :size]
