"""Data sets whose splits are lists of names: reading a list, and finding the files of its samples."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from autosegloss.data.datasets.pairs import load_pair
from autosegloss.data.datasets.source import Sample
from autosegloss.errors import InputError


def read_names(path: Path) -> list[str]:
    """The first word of every line; raises InputError for a file that is missing, empty or not text."""
    return [line.split()[0] for line in read_lines(path)]


def read_lines(path: Path) -> list[str]:
    """The lines of a list that are not empty; raises InputError for a file that is missing, empty or not text."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the list cannot be read ({error}); correct or restore the file") from error
    if not any(lines):
        raise InputError(f"{path}: the list is empty; restore it")
    return [line for line in lines if line]


def files_in(folder: Path, ending: str) -> dict[str, str]:
    """The paths in a folder whose names have this ending, by the rest of the name; {} if the folder does not exist."""
    found = os.listdir(folder) if folder.is_dir() else ()  # strings: tens of thousands of Paths would be slow
    return {n.removesuffix(ending): f"{folder}/{n}" for n in found if n.endswith(ending) and not n.startswith(".")}


def listed_pairs(
    names: Sequence[str],
    images: Mapping[str, str],
    masks: Mapping[str, str],
    read: Callable[[Path], Tensor],
    layout: str,
) -> list[Sample]:
    """The samples of a list.

    Args:
        names: of the samples, in order.
        images: the path of the image of each name.
        masks: the path of the mask of each name.
        read: reads a mask file into labels, uint8 (H, W).
        layout: the expected layout, for messages.

    Raises:
        InputError: if a sample has no image or no mask.
    """
    for kind, files in (("image", images), ("mask", masks)):
        if absent := [name for name in names if name not in files]:
            shown = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
            raise InputError(f"{len(absent)} of {len(names)} samples have no {kind}: {shown}; {layout}")
    return [
        Sample(images[name], partial(load_pair, Path(images[name]), Path(masks[name]), read), masks[name])
        for name in names
    ]
