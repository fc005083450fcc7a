"""What an image file holds: its bands, each at full depth; and the errors of files that cannot give them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autosegloss.data.datasets.source import SampleError
from autosegloss.errors import InputError

SEVERAL = "files of several pictures"  # kinds of files that cannot be read
OTHER_COLOURS = "images in other colours than grey or RGB"
TOO_LARGE = "files of too many pixels"
MAX_MEGAPIXELS = 179  # beyond it Pillow, too, takes a file for a decompression bomb


class Bands(NamedTuple):
    """The bands of an image file.

    values: (H, W, B), of any type of numbers. alpha: whether the last band is opacity. pages: the number of pages of
    the file, whose bands follow each other.
    """

    values: np.ndarray
    alpha: bool = False
    pages: int = 1


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Any error of a decoder becomes an InputError that names the file."""
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise SampleError(
            TOO_LARGE, f"{path}: does not fit into memory; cut the file into parts, or replace it"
        ) from error
    except Exception as error:  # decoders raise many types for broken files
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as an image ({reason}); replace or remove the file") from error


def check_size(path: Path, width: int, height: int, max_megapixels: float) -> None:
    """Raise an InputError if an image has more pixels than allowed."""
    if width * height > max_megapixels * 1e6:
        raise SampleError(
            TOO_LARGE,
            f"{path}: has {height}x{width} pixels (HxW), more than {max_megapixels:g} megapixels; if the file is not "
            f"damaged, set data.source.max_megapixels={width * height // 10**6 + 1}",
        )
