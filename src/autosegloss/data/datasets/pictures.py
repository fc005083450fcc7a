"""Picture files, decoded by Pillow and turned upright."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
from imagecodecs import png_decode
from PIL import ExifTags, Image, ImageOps

from autosegloss.data.datasets.bands import OTHER_COLOURS, SEVERAL, Bands, check_size, reading
from autosegloss.data.datasets.source import SampleError
from autosegloss.data.datasets.tiff import count_pages, tiff_orientation, upright
from autosegloss.errors import InputError

# Pillow's modes of grey or RGB values, and what brings others to one of them.
GREY_OR_RGB = ("L", "LA", "RGB", "RGBA")
CONVERTED = {"1": "L", "La": "LA", "P": "RGB", "PA": "RGBA", "RGBa": "RGBA", "CMYK": "RGB", "YCbCr": "RGB"}


class _Lifted:
    """A context in which Pillow opens files of any size; the limit is one number for all threads of the process."""

    def __init__(self) -> None:
        self.lock, self.inside, self.limit = Lock(), 0, Image.MAX_IMAGE_PIXELS

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                Image.MAX_IMAGE_PIXELS = self.limit


_LIFTED = _Lifted()


def open_picture(path: Path, max_megapixels: float = math.inf) -> Image.Image:
    """The picture of a file, decoded and turned as its orientation tag says.

    Args:
        path: of the file.
        max_megapixels: the size in millions of pixels up to which a file is decoded; a mask needs no limit of its own,
            for it has the size of an image.

    Raises:
        InputError: if the file cannot be read, is too large, or holds several pictures.
    """
    with _opened(path, max_megapixels) as picture:
        picture.load()
        if picture.format != "TIFF" and _tag(picture) in range(2, 9):  # a TIFF is upright when it is loaded
            ImageOps.exif_transpose(picture, in_place=True)
        return picture


def picture_bands(path: Path, max_megapixels: float) -> Bands:
    """The bands of a file, uint8; raises InputError as `open_picture` does, and for other colours than those above."""
    picture = open_picture(path, max_megapixels)
    if "transparency" in picture.info:  # one colour, or some of a palette, are transparent
        picture = picture.convert("LA" if picture.mode in ("1", "L") else "RGBA")
    if picture.mode in CONVERTED:
        picture = picture.convert(CONVERTED[picture.mode])
    if picture.mode not in GREY_OR_RGB:
        message = f"{path}: expected grey or RGB values, got Pillow's mode {picture.mode}; convert the image"
        raise SampleError(OTHER_COLOURS, message)
    values = np.array(picture)
    return Bands(values.reshape(*values.shape[:2], -1), alpha=picture.mode.endswith("A"))


def deep_png_bands(path: Path, max_megapixels: float) -> Bands:
    """The bands uint16 of a PNG file of 16 bits, of which Pillow reads 8; raises InputError as `open_picture` does."""
    with _opened(path, max_megapixels) as picture:
        values = png_decode(path.read_bytes())
        values = upright(values.reshape(*values.shape[:2], -1), _tag(picture))
    return Bands(values, alpha=values.shape[2] in (2, 4))


def orientation(path: Path) -> int:
    """The orientation tag of a file, 1 to 8; 1 if it has none, or is no picture."""
    try:
        with _opened(path, math.inf) as picture:
            if picture.format == "TIFF":
                return tiff_orientation(path)
            return _tag(picture)
    except InputError:
        return 1


def _tag(picture: Image.Image) -> int:
    try:
        return picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow raises many types for broken metadata, of which other programs take no notice
        return 1


@contextmanager
def _opened(path: Path, max_megapixels: float) -> Iterator[Image.Image]:
    """The only picture of a file, its size checked, to be decoded inside the context."""
    # From a path Pillow maps grey TIFF files into memory, and confuses rows and columns of those that are turned.
    with reading(path), path.open("rb") as file, _LIFTED, Image.open(file) as picture:
        check_size(path, *picture.size, max_megapixels)
        if (count := _count(path, picture)) > 1:
            message = f"{path}: expected one picture, got {count} in one file; save each as a file of its own"
            raise SampleError(SEVERAL, message)
        yield picture


def _count(path: Path, picture: Image.Image) -> int:
    """The number of pictures in a file: pages, or frames of an animation."""
    match picture.format:
        case "TIFF":
            return count_pages(path)
        case "MPO":  # a JPEG file of a camera; the others are previews or other views of the first
            return 1
        case _:
            return getattr(picture, "n_frames", 1)
