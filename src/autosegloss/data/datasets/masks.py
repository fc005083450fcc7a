"""Mask files as labels: their grey values, palette indices or colours, by themselves or looked up in a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from autosegloss.data.datasets.pictures import open_picture
from autosegloss.data.datasets.source import SampleError

MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif")  # lossless formats only: JPEG would invent labels
_GREY = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B")
_COLOUR = ("RGB", "RGBA", "LA")
_VALUES = 2**16  # of a mask of one channel
_SHOWN = 5  # values or colours that a message names


def read_mask(path: Path, labels: Mapping[int, int] = MappingProxyType({})) -> Tensor:
    """Read a mask file whose grey values or palette indices are labels, as uint8 (H, W).

    Args:
        path: of the mask.
        labels: {value: label} for the values to replace; the others stay.

    Raises:
        InputError: for a file that cannot be read, that has colours, or values above 255 that `labels` lacks.
    """
    table = np.full(_VALUES, -1, np.int16)
    table[:256] = np.arange(256)
    table[list(labels)] = list(labels.values())
    return torch.from_numpy(_labels(path, open_picture(path), table))


@dataclass(frozen=True)
class MaskTable:
    """Reads mask files by a table of what their values or colours mean.

    Where the table has colours, RGB files are read by their colours, also those that hold grey alone; without values
    all files are. All others are read by their values.

    Args:
        values: (value, label) of each value of a grey mask or index of a palette.
        colours: (colour, label) of each colour 0xRRGGBB.
        other: the label of all other values and colours; None makes them an error.
    """

    values: tuple[tuple[int, int], ...] = ()
    colours: tuple[tuple[int, int], ...] = ()
    other: int | None = None

    def __call__(self, path: Path) -> Tensor:
        """The labels of a mask file, uint8 (H, W); raises InputError for what the table lacks."""
        picture = open_picture(path)
        by_colour = self.colours and (picture.mode in _COLOUR or not self.values)
        return torch.from_numpy(self._by_colour(path, picture) if by_colour else self._by_value(path, picture))

    def _by_value(self, path: Path, picture: Image.Image) -> np.ndarray:
        table = np.full(_VALUES, -1 if self.other is None else self.other, np.int16)
        table[[value for value, _ in self.values]] = [label for _, label in self.values]
        return _labels(path, picture, table)

    def _by_colour(self, path: Path, picture: Image.Image) -> np.ndarray:
        colours, known = packed_colours(path, picture), np.array(sorted(self.colours))
        place = np.searchsorted(known[:, 0], colours).clip(max=len(known) - 1)
        found = known[place, 0] == colours
        if self.other is None and not found.all():
            pixels, counts = np.unique(colours[~found], return_counts=True)
            shown = [colour_text(int(colour)) for colour in pixels[np.argsort(-counts)]]
            raise _unknown(path, "colour", shown)
        return np.where(found, known[place, 1], 0 if self.other is None else self.other).astype(np.uint8)


def packed_colours(path: Path, picture: Image.Image) -> np.ndarray:
    """The colours (H, W) of a mask as numbers 0xRRGGBB."""
    _check_mode(path, picture)
    red, green, blue = np.asarray(picture.convert("RGB")).astype(np.int32).transpose(2, 0, 1)
    return red << 16 | green << 8 | blue


class MaskContent(NamedTuple):
    """What a mask file holds.

    Args:
        rgb: whether the file has three channels.
        coloured: whether these differ anywhere.
        found: the different values, or of an RGB file the colours 0xRRGGBB.
        pixels: the number of pixels of each.
    """

    rgb: bool
    coloured: bool
    found: list[int]
    pixels: list[int]


def mask_content(path: Path) -> MaskContent:
    """The content of a mask file, without a table."""
    picture = open_picture(path)
    rgb = picture.mode in _COLOUR
    content = packed_colours(path, picture) if rgb else _values(path, picture)
    found, pixels = np.unique(content, return_counts=True)
    return MaskContent(rgb, not _is_grey(picture), found.tolist(), pixels.tolist())


def colour_text(colour: int) -> str:
    """A colour 0xRRGGBB as "[R,G,B]", the form of the configuration."""
    return f"[{colour >> 16},{colour >> 8 & 255},{colour & 255}]"


def _is_grey(picture: Image.Image) -> bool:
    """Whether a picture has one value a pixel; grey stored as RGB has, too."""
    if picture.mode not in _COLOUR:
        return True
    red, *others = (np.asarray(band) for band in picture.convert("RGB").split())
    return all(np.array_equal(red, other) for other in others)


def _values(path: Path, picture: Image.Image) -> np.ndarray:
    """The values (H, W) of a grey or palette mask, integers from 0 to 65535."""
    _check_mode(path, picture)
    if not _is_grey(picture):
        raise SampleError(
            "masks in colours without a table",
            f"{path}: the mask is in colours, and no table says what they mean: set data.source.colours="
            "{NAME:[R,G,B],...}, or let `python -m autosegloss.data check` propose a classes.yaml",
        )
    values = np.asarray(picture if picture.mode in _GREY else picture.convert("RGB").getchannel(0))
    if values.dtype == np.int32 and (values.min(initial=0) < 0 or values.max(initial=0) >= _VALUES):
        raise _unknown(path, "value", [str(value) for value in np.unique(values) if not 0 <= value < _VALUES])
    return values.astype(np.uint8 if values.dtype in (np.bool_, np.uint8) else np.uint16)


def _check_mode(path: Path, picture: Image.Image) -> None:
    if picture.mode not in (*_GREY, *_COLOUR):
        raise SampleError(
            "masks of another kind",
            f"{path}: expected a mask of integers (grey or palette) or of colours (RGB), got mode {picture.mode}; "
            "save class indices",
        )


def _labels(path: Path, picture: Image.Image, table: np.ndarray) -> np.ndarray:
    """The labels uint8 (H, W) of a grey or palette mask by a table (65536,), int16, of labels, or -1 for no label."""
    values = _values(path, picture)
    labels = table[values]
    if labels.min(initial=0) < 0:
        raise _unknown(path, "value", [str(value) for value in np.unique(values[labels < 0])])
    return labels.astype(np.uint8)


def _unknown(path: Path, kind: str, found: list[str]) -> SampleError:
    more = f", ... ({len(found)} in all)" if len(found) > _SHOWN else ""
    return SampleError(
        f"{kind}s that the table lacks",
        f"{path}: {kind} {', '.join(found[:_SHOWN])}{more} is in no table: add it to data.source.{_TABLES[kind]} or "
        "classes.yaml, or ignore all such pixels with data.source.unknown=ignore",
    )


_TABLES = {"value": "labels", "colour": "colours"}
