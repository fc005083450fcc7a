"""Mask files as labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from autosegloss.data.datasets.pictures import open_picture
from autosegloss.errors import InputError

MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")  # lossless formats only: JPEG would invent labels


def read_mask(path: Path, labels: Mapping[int, int] = MappingProxyType({})) -> Tensor:
    """Read a mask file whose grey values or palette indices are labels, as uint8 (H, W).

    Args:
        path: of the mask.
        labels: {value: label} for the values to replace; the others stay.

    Raises:
        InputError: for a file that cannot be read, or that has colours instead of one 8-bit channel.
    """
    picture = open_picture(path)
    if picture.mode not in ("L", "P", "1"):
        raise InputError(
            f"{path}: expected a mask of one 8-bit channel (grey or palette) that holds class indices, "
            f"got mode {picture.mode}; save class indices, not colours"
        )
    table = np.arange(256, dtype=np.uint8)
    table[list(labels)] = list(labels.values())
    return torch.from_numpy(table[np.array(picture).astype(np.uint8)])
