"""TIFF files, of which Pillow reads a part of the bands, of the depth and of the pages."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
from tifffile import EXTRASAMPLE, PHOTOMETRIC, SAMPLEFORMAT, TiffFile, TiffPage, TiffPageSeries

from autosegloss.data.datasets.bands import OTHER_COLOURS, SEVERAL, Bands, check_size, reading
from autosegloss.data.datasets.source import SampleError

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the first bytes of a TIFF file
ORIENTATION = 274  # the number of the tag
TURNED = (5, 6, 7, 8)  # its values under which rows become columns
GREY_OR_RGB = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB)
# Photometric interpretation, samples per pixel and extra samples of the files of 8 bits that Pillow reads unchanged.
PILLOW_READS = (
    (PHOTOMETRIC.MINISWHITE, 1, ()),
    (PHOTOMETRIC.MINISBLACK, 1, ()),
    (PHOTOMETRIC.PALETTE, 1, ()),
    (PHOTOMETRIC.RGB, 3, ()),
    (PHOTOMETRIC.RGB, 4, (EXTRASAMPLE.UNASSALPHA,)),
    (PHOTOMETRIC.SEPARATED, 4, ()),
    (PHOTOMETRIC.YCBCR, 3, ()),
)


def read_tiff(path: Path, max_megapixels: float) -> Bands | None:
    """The bands of all pages of a TIFF file; None if Pillow reads the file unchanged.

    Copies at a lower resolution and transparency masks are no pages. Raises InputError if the file cannot be read or
    is too large, if its pages differ in form, or if it has colours other than grey and RGB.
    """
    with reading(path), TiffFile(path, is_ome=False) as file:  # OME would read other files, too
        series = _series(file)
        page, pages = series[0].keyframe, _pages(series[0])
        if len(series) > 1:
            raise SampleError(SEVERAL, f"{path}: its pages differ in size or type; save each as a file of its own")
        check_size(path, page.imagewidth, page.imagelength, max_megapixels)
        if pages == 1 and _pillow_reads(page):
            return None
        dtype = np.dtype(page.dtype)
        if page.photometric not in GREY_OR_RGB or dtype.kind not in "buif":
            found = f"{PHOTOMETRIC(page.photometric).name} of {dtype}"
            raise SampleError(OTHER_COLOURS, f"{path}: expected grey or RGB values, got {found}; convert the image")
        values = upright(_values(series[0]), _orientation(page))
    alpha = page.extrasamples and page.extrasamples[-1] in (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA)
    return Bands(values, pages == 1 and bool(alpha), pages)


def count_pages(path: Path) -> int:
    """The number of pages of a TIFF file, without copies at a lower resolution and transparency masks."""
    with TiffFile(path, is_ome=False) as file:
        return sum(map(_pages, _series(file)))


def tiff_orientation(path: Path) -> int:
    """The orientation tag of a TIFF file, 1 to 8."""
    with TiffFile(path, is_ome=False) as file:
        return _orientation(_series(file)[0].keyframe)


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """The values (H, W, B) as the orientation tag of EXIF, 1 to 8, says that they are to be shown."""
    if orientation in TURNED:
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)


def _series(file: TiffFile) -> list[TiffPageSeries]:
    """The pages of a file by their form."""
    return [one for one in file.series if not (one.keyframe.is_reduced or one.keyframe.is_mask)] or file.series[:1]


def _pages(series: TiffPageSeries) -> int:
    return prod(length for axis, length in zip(series.axes, series.shape, strict=True) if axis not in "YXS")


def _pillow_reads(page: TiffPage) -> bool:
    form = page.photometric, page.samplesperpixel, tuple(page.extrasamples)
    whole_numbers = page.sampleformat == SAMPLEFORMAT.UINT and page.bitspersample <= 8
    return page.index == 0 and whole_numbers and form in PILLOW_READS


def _orientation(page: TiffPage) -> int:
    tag = page.tags.get(ORIENTATION)
    return int(tag.value) if tag else 1


def _values(series: TiffPageSeries) -> np.ndarray:
    """The values (H, W, B) of a series: the bands of its first page, then those of the second, and so on."""
    values = np.moveaxis(series.asarray(), [series.axes.index("Y"), series.axes.index("X")], [0, 1])
    values = values.reshape(*values.shape[:2], -1)
    if (bits := series.keyframe.bitspersample) < 8:  # white is 255, as in pictures that Pillow reads
        values = values.astype(np.uint8) * np.uint8(255 // (2**bits - 1))
    if series.keyframe.photometric != PHOTOMETRIC.MINISWHITE:
        return values
    return np.iinfo(values.dtype).max - values if values.dtype.kind == "u" else -values
