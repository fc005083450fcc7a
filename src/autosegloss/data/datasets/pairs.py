"""Pairs of an image file and a mask file: finding them, and loading both."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from autosegloss.data.datasets.images import read_image
from autosegloss.data.datasets.pictures import orientation
from autosegloss.data.datasets.source import SampleError
from autosegloss.data.datasets.tiff import TURNED
from autosegloss.errors import InputError


def existing_root(root: str | Path | None, expected: str) -> Path:
    """The root of a data set as a path; raises InputError, with the `expected` layout, if it is no folder."""
    if root is None:
        raise InputError(f"the data's folder is not given: set data.root=ROOT; {expected}")
    path = Path(root).expanduser()
    if not path.is_dir():
        raise InputError(f"no such folder: {path}; set data.root=ROOT; {expected}")
    return path


def load_pair(
    image: Path, mask: Path, read: Callable[[Path], Tensor], read_image: Callable[[Path], Tensor] = read_image
) -> tuple[Tensor, Tensor]:
    """Load an image and its mask.

    Args:
        image: the path of the image.
        mask: the path of the mask.
        read: reads a mask file into labels, for example `read_mask`.
        read_image: reads an image file, for example an `ImageReader`.

    Returns:
        the image (B, H, W), uint8 or float32 on the scale 0..255, and the label uint8 (H, W) or (C, H, W).

    Raises:
        InputError: if a file cannot be read or the two differ in size.
    """
    pixels, label = read_image(image), read(mask)
    height, width = label.shape[-2:]
    if pixels.shape[1:] != (height, width):
        turned = _turned(image, mask) if pixels.shape[1:] == (width, height) else ""
        raise SampleError(
            "images and masks that differ in size",
            f"image and mask differ in size (HxW): {image} has {pixels.shape[1]}x{pixels.shape[2]}, "
            f"{mask} has {height}x{width}; a mask needs one value per image pixel{turned}",
        )
    return pixels, label


def _turned(*paths: Path) -> str:
    """The remark that an orientation tag, under which rows become columns, sets one of the files apart."""
    tags = {path: tag for path in paths if (tag := orientation(path)) in TURNED}
    if len(tags) != 1:
        return ""
    [(path, tag)] = tags.items()
    return f"; {path} is turned as its EXIF orientation tag {tag} says: turn the other, or remove the tag"


def natural_key(text: str) -> list[tuple[int, int | str]]:
    """A sort key under which frame2 comes before frame10, so that neighbouring frames stay neighbours."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", text) if part]
