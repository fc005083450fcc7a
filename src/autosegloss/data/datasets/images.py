"""Image files as tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from autosegloss.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def read_image(path: Path) -> Tensor:
    """An image file of 8 bits per channel, grey or colour, as RGB uint8 (3, H, W)."""
    picture = open_picture(path)
    if picture.mode.startswith(("I", "F")):
        raise InputError(f"{path}: expected an image of 8 bits a channel, got mode {picture.mode}; convert it")
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).contiguous()


def open_picture(path: Path) -> Image.Image:
    """The picture of a file, decoded; raises InputError if it cannot be read."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as an image ({error}); replace or remove the file") from error
