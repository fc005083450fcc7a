"""Masks with any number of classes a pixel: image files with a band for each class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tifffile import PHOTOMETRIC, imwrite
from torch import Tensor

from autosegloss.data.datasets.bands import MAX_MEGAPIXELS
from autosegloss.data.datasets.class_table import Classes
from autosegloss.data.datasets.pictures import open_picture
from autosegloss.data.datasets.source import SampleError
from autosegloss.data.datasets.tiff import read_tiff
from autosegloss.files import whole_file

SUFFIX = ".tif"
"""The ending of files that `save_layers` writes."""


@dataclass(frozen=True)
class Layers:
    """Reads masks with a band for each class, in their order: 0 where a pixel is not of the class, 1 where it is.

    Args:
        count: C, the number of classes.
        ignore_index: the value of pixels that do not count for a class; with None all values but 0 mean the class.
    """

    count: int
    ignore_index: int | None = 255

    def __call__(self, path: Path) -> Tensor:
        """The labels uint8 (C, H, W) of a mask file; raises InputError for other bands or values."""
        bands = _bands(path)
        if len(bands) != self.count:
            raise SampleError(
                "masks with another number of bands",
                f"{path}: expected a band for each of {self.count} classes, got {len(bands)}: save one file with all "
                "of them, as a TIFF, or correct the classes",
            )
        if self.ignore_index is None:
            return torch.from_numpy((bands != 0).astype(np.uint8))
        odd = np.setdiff1d(bands, [0, 1, self.ignore_index])
        if odd.size:
            raise SampleError(
                "bands of other values than 0 and 1",
                f"{path}: expected 0, 1, and {self.ignore_index} where a pixel does not count, got "
                f"{np.unique(bands)[:5].tolist()}: if all values but 0 mean the class, set "
                "data.source.ignore_index=null",
            )
        return torch.from_numpy(bands.astype(np.uint8))


def save_layers(labels: np.ndarray, path: Path) -> None:
    """Write labels uint8 (C, H, W) of 0 and 1 as a TIFF with C bands, which `Layers` reads."""
    values, planes = (labels, "separate") if len(labels) > 1 else (labels[0], None)
    with whole_file(path) as draft:
        write = partial(imwrite, draft, values, photometric=PHOTOMETRIC.MINISBLACK, compression="zlib", metadata=None)
        write(planarconfig=planes)


def in_layers(classes: Classes, ignore_index: int | None) -> Classes:
    """The same classes, of masks with a band for each."""
    ignored = "" if ignore_index is None else f", {ignore_index} is ignored"
    said = f"masks have a band for each of the classes {', '.join(classes.names)}{ignored}"
    return Classes(classes.names, Layers(len(classes.names), ignore_index), (said,))


def present(label: Tensor) -> list[int]:
    """The labels that occur in a mask (H, W), or the classes of any pixel of (C, H, W)."""
    if label.ndim == 2:
        return label.unique().tolist()
    return (label == 1).flatten(1).any(dim=1).nonzero()[:, 0].tolist()


def _bands(path: Path) -> np.ndarray:
    """The bands (B, H, W) of a file of whole numbers."""
    read = read_tiff(path, MAX_MEGAPIXELS) if path.suffix.lower() in (".tif", ".tiff") else None
    values = np.asarray(_plain(open_picture(path))) if read is None else read.values
    return np.moveaxis(values, -1, 0) if values.ndim == 3 else values[None]


def _plain(picture: Image.Image) -> Image.Image:
    """A picture whose values are read as they are: those of a palette are its indices."""
    return picture.convert("L") if picture.mode == "1" else picture
