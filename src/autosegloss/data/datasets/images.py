"""Image files as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from autosegloss.data.datasets.bands import MAX_MEGAPIXELS, Bands, reading
from autosegloss.data.datasets.pictures import deep_png_bands, picture_bands
from autosegloss.data.datasets.source import SampleError
from autosegloss.data.datasets.tiff import MAGIC, read_tiff
from autosegloss.errors import InputError, is_whole, positive

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
DEEP_PNG = b"\x89PNG\r\n\x1a\n", 24, 16  # its first bytes; the position of the depth in bits, and the depth


@dataclass(frozen=True)
class ImageReader:
    """Reads image files as tensors (B, H, W) on the scale 0..255: uint8 from 8 bits, float32 from more.

    Images are turned upright, as their EXIF tag says. Colours of a palette, CMYK and YCbCr become RGB.

    Args:
        bands: the bands of a file to read, numbered from 0, in this order; those of a second page of a TIFF file follow
            those of the first. None reads grey and RGB as RGB, and refuses other files.
        max_value: the value of files of more than 8 bits that becomes 255; None means 65535 for 16 bits.
        max_megapixels: the size in millions of pixels up to which a file is read.

    Raises:
        InputError: for a setting out of range.

    Example:
        >>> from autosegloss.data.datasets.images import ImageReader
        >>> ImageReader(bands=(3, 2, 1), max_value=10000).channels
        3
    """

    bands: tuple[int, ...] | None = None
    max_value: float | None = None
    max_megapixels: float = MAX_MEGAPIXELS

    def __post_init__(self) -> None:
        if self.bands is not None:
            if isinstance(self.bands, str | int) or not self.bands or not all(is_whole(b, least=0) for b in self.bands):
                raise InputError(
                    f"data.source.bands: expected a list of numbers from 0, as [0,1,2], got {self.bands!r}"
                )
            object.__setattr__(self, "bands", tuple(self.bands))  # a config gives a list
        if self.max_value is not None:
            positive("data.source.max_value", self.max_value)
        positive("data.source.max_megapixels", self.max_megapixels)

    @property
    def channels(self) -> int:
        """B, the number of bands of the images."""
        return 3 if self.bands is None else len(self.bands)

    def __call__(self, path: Path) -> Tensor:
        """Read an image file; raises InputError for a file that cannot be read as these settings say."""
        found = read_bands(path, self.max_megapixels)
        values = _rgb(path, found) if self.bands is None else _chosen(path, found.values, self.bands)
        values = self._scaled(path, values)
        return torch.from_numpy(values).permute(2, 0, 1).contiguous()

    def _scaled(self, path: Path, values: np.ndarray) -> np.ndarray:
        """The values on the scale 0..255."""
        if values.dtype == np.uint8:
            return values
        low, high = float(values.min()), float(values.max())
        most = 65535 if self.max_value is None and values.dtype == np.uint16 else self.max_value
        if most is None:
            raise SampleError(
                "images of no known scale",
                f"{path}: its values {low:g} to {high:g} ({values.dtype}) have no known scale: set "
                "data.source.max_value to the value that is to become 255",
            )
        if not (low >= 0 and high <= most):  # nan is neither
            raise SampleError(
                "images with values outside of the scale",
                f"{path}: expected values from 0 to {most:g}, got {low:g} to {high:g}; set data.source.max_value to "
                "the largest value of all files, and convert files with values below 0 or not a number",
            )
        return values.astype(np.float32) * 255 / np.float32(most)


read_image = ImageReader()


def read_bands(path: Path, max_megapixels: float) -> Bands:
    """All bands of an image file, by a reader that changes none of them; raises InputError if it cannot be read."""
    header = _first_bytes(path)
    if header.startswith(MAGIC) and (bands := read_tiff(path, max_megapixels)):
        return bands
    magic, place, depth = DEEP_PNG
    if header.startswith(magic) and header[place:] == bytes([depth]):
        return deep_png_bands(path, max_megapixels)
    return picture_bands(path, max_megapixels)


def _first_bytes(path: Path) -> bytes:
    """What tells the format of a file, up to the depth of a PNG."""
    with reading(path), path.open("rb") as file:
        return file.read(DEEP_PNG[1] + 1)


def _chosen(path: Path, values: np.ndarray, bands: tuple[int, ...]) -> np.ndarray:
    """These bands of values (H, W, B); raises InputError if the file lacks one of them."""
    count, needed = values.shape[2], max(bands) + 1
    if needed > count:
        raise SampleError(
            "images that lack a band",
            f"{path}: has {_counted(count)}, numbered from 0: data.source.bands={list(bands)} needs {needed}",
        )
    return values[..., list(bands)]


def _rgb(path: Path, found: Bands) -> np.ndarray:
    """The values (H, W, 3) of a file of one page in grey or RGB; raises InputError for other bands."""
    values, count = found.values, found.values.shape[2]
    if found.pages > 1:
        raise _unclear(path, f"{found.pages} pages of {_counted(count // found.pages)} each", count)
    if found.alpha:
        opacity = values[..., -1]
        most = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
        if opacity.min() < most:
            raise _unclear(
                path, f"{_counted(count)}, the last of which is an opacity that hides some pixels", count - 1
            )
        values, count = values[..., :-1], count - 1
    if count not in (1, 3):
        raise _unclear(path, _counted(count), count)
    return values if count == 3 else np.repeat(values, 3, axis=2)


def _unclear(path: Path, found: str, count: int) -> SampleError:
    """The error for a file of other bands than grey or RGB; `count` of them hold colours."""
    example = [0, 0, 0] if count == 1 else list(range(min(count, 3)))
    return SampleError(
        "images of other bands than grey or RGB",
        f"{path}: expected grey or RGB, got {found}: choose the bands to read, for example data.source.bands="
        + str(example).replace(" ", ""),
    )


def _counted(count: int) -> str:
    return f"{count} band" + ("s" if count > 1 else "")
