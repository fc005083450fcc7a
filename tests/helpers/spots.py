"""Tiny scenes of bright spots on a dark ground: a folder of masks of a background and one foreground."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from autosegloss.data import Sample, Source
from autosegloss.data.datasets.layers import save_layers

SIZE = 32
COUNTS = {"train": 12, "val": 4, "test": 4}


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An image uint8 (H, W, 3) and where its spots are, bool (H, W)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    spots = np.zeros((SIZE, SIZE), bool)
    for _ in range(rng.integers(1, 4)):
        row, column, radius = *rng.integers(4, SIZE - 4, 2), rng.integers(3, 7)
        spots |= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    noise = rng.integers(0, 60, (SIZE, SIZE, 3))
    return (noise + 150 * spots[..., None]).astype(np.uint8), spots


def write_spots(root: Path, foreground: int = 1) -> Path:
    """Write ROOT/{train,val,test}/{images,masks}; the masks hold 0 and `foreground`."""
    for split, count in COUNTS.items():
        for number in range(count):
            image, spots = scene(1000 * len(split) + number)
            for kind, pixels in (("images", image), ("masks", (foreground * spots).astype(np.uint8))):
                (root / split / kind).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / split / kind / f"{number}.png")
    return root


def write_layers(root: Path) -> Path:
    """Write the folder of `SpotsAndHalves`, whose masks have a band for each class."""
    for split, count in COUNTS.items():
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image, labels = _load(1000 * len(split) + number)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(root / split / "images" / f"{number}.png")
            save_layers(labels.numpy(), root / split / "masks" / f"{number}.tif")
    (root / "classes.txt").write_text("spot\nleft\n")
    return root


@dataclass(frozen=True)
class SpotsAndHalves(Source):
    """Two classes that do not exclude each other: spots, and the left half of the image; a corner does not count."""

    class_names = ("spot", "left")

    def samples(self, split):
        return [Sample(f"{split} {n}", partial(_load, 1000 * len(split) + n)) for n in range(COUNTS[split])]


def _load(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    image, spots = scene(seed)
    left = np.broadcast_to(np.arange(SIZE) < SIZE // 2, spots.shape)
    labels = np.stack([spots, left]).astype(np.uint8)
    labels[:, :4, :4] = 255
    return torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(labels)
