"""Miniature data sets on disk, written by the tests that read them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image


def write_image(path: Path, size=(8, 10), value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path)


def write_mask(path: Path, size=(8, 10), values=(0, 1, 255)) -> None:
    """A mask whose rows take the values in turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.resize(np.array(values, np.uint8), size[0])
    Image.fromarray(np.repeat(rows[:, None], size[1], axis=1)).save(path)


@pytest.fixture(autouse=True)
def one_thread():
    """On such small tensors threads cost more time than they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path):
    """root/{train,val}/{images,masks} of 12 and 3 images of 8 x 10 pixels, whose values are their numbers."""
    for split, count in (("train", 12), ("val", 3)):
        for i in range(count):
            write_image(tmp_path / split / "images" / f"frame{i}.png", value=i)
            write_mask(tmp_path / split / "masks" / f"frame{i}.png")
    return tmp_path


@pytest.fixture
def unsplit(tmp_path):
    """root/{images,masks} of 20 images, and classes.txt."""
    for i in range(20):
        write_image(tmp_path / "images" / f"{i}.jpg", value=i)
        write_mask(tmp_path / "masks" / f"{i}.png")
    (tmp_path / "classes.txt").write_text("sky\nroad\n")
    return tmp_path


@pytest.fixture
def files():
    """(write_image, write_mask), for other folders."""
    return write_image, write_mask
