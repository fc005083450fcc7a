"""A data set of images of several bands of 12 bits, as TIFF files."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from autosegloss.data import Sample, Source, load_pair
from autosegloss.data.datasets.images import ImageReader
from autosegloss.data.datasets.masks import read_mask

SIZE = (32, 40)
MOST = 4095  # of 12 bits


def write(root: Path, count: int, bands: int) -> np.ndarray:
    """`count` images and masks of two classes; returns the values, uint16 (count, *SIZE, bands)."""
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2, (count, *SIZE), dtype=np.uint8)
    values = rng.integers(0, MOST // 2, (count, *SIZE, bands), dtype=np.uint16) + masks[..., None] * np.uint16(
        MOST // 2
    )
    for k in range(count):
        tifffile.imwrite(root / f"{k}.tif", values[k], photometric="minisblack", planarconfig="contig")
        Image.fromarray(masks[k]).save(root / f"{k}.png")
    return values


@dataclass(frozen=True)
class Multiband(Source):
    """The images of a folder in the bands of the reader; all of them train, and validate."""

    root: str
    read: ImageReader

    class_names = ("ground", "roof")

    @property
    def channels(self) -> int:
        return self.read.channels

    def samples(self, split):
        return [
            Sample(str(path), partial(load_pair, path, path.with_suffix(".png"), read_mask, self.read))
            for path in sorted(Path(self.root).glob("*.tif"))
        ]
