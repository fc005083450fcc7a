"""Pairs of an image file and a mask file: finding them, and loading both."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import Tensor

from autosegloss.data.datasets.images import IMAGE_SUFFIXES, read_image
from autosegloss.data.datasets.masks import MASK_SUFFIXES, read_mask
from autosegloss.data.datasets.pictures import orientation
from autosegloss.data.datasets.source import Sample
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


def find_pairs(images: Path, masks: Path, void: int | None = None, ignore_index: int = 255) -> list[Sample]:
    """The images of one folder with the masks of the same stem in another, in natural order (2 before 10).

    Args:
        images: the folder of the images.
        masks: the folder of the masks.
        void: a mask value that becomes `ignore_index`.
        ignore_index: the label of pixels to ignore.

    Raises:
        InputError: unless both folders hold files that match one to one; it names those that do not.
    """
    read = partial(read_mask, labels={} if void is None else {void: ignore_index})
    by_stem, masks_by_stem = _by_stem(images, IMAGE_SUFFIXES), _by_stem(masks, MASK_SUFFIXES)
    _check_partners(by_stem, masks_by_stem, "image", masks)
    _check_partners(masks_by_stem, by_stem, "mask", images)
    return [
        Sample(str(path), partial(load_pair, path, masks_by_stem[stem], read), str(masks_by_stem[stem]))
        for stem, path in by_stem.items()
    ]


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
        the image (B, H, W), uint8 or float32 on the scale 0..255, and the label uint8 (H, W).

    Raises:
        InputError: if a file cannot be read or the two differ in size.
    """
    pixels, label = read_image(image), read(mask)
    if pixels.shape[1:] != label.shape:
        raise InputError(
            f"image and mask differ in size (HxW): {image} has {pixels.shape[1]}x{pixels.shape[2]}, {mask} has "
            f"{label.shape[0]}x{label.shape[1]}; a mask needs one value per image pixel{_turned(image, mask)}"
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


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """The files of a folder by stem, in natural order of the stems."""
    if not folder.is_dir():
        raise InputError(f"no such folder: {folder}")
    paths = [p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith(".")]
    if not paths:
        raise InputError(f"{folder} is empty: expected files ending in {' '.join(suffixes)}")
    found: dict[str, Path] = {}
    for path in sorted(paths, key=lambda p: (natural_key(p.stem), p.name)):
        if path.stem in found:
            raise InputError(f"two files of one name: {found[path.stem]} and {path.name}; keep one of them")
        found[path.stem] = path
    return found


def _check_partners(these: dict[str, Path], those: dict[str, Path], kind: str, where: Path) -> None:
    alone = [path for stem, path in these.items() if stem not in those]
    if alone:
        named = ", ".join(map(str, alone[:3])) + (", ..." if len(alone) > 3 else "")
        raise InputError(f"{len(alone)} {kind}(s) without a partner of the same stem in {where}: {named}")
