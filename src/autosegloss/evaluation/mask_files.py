"""Predicted masks as files: class indices with a palette, the values or colours of a table, and overlays to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from autosegloss.data.datasets.images import IMAGE_SUFFIXES
from autosegloss.data.datasets.masks import MaskTable
from autosegloss.data.datasets.pairs import natural_key
from autosegloss.data.transforms import as_rgb
from autosegloss.errors import InputError
from autosegloss.files import whole_file
from autosegloss.report.palette import mixed_colours, palette

_OPACITY = 0.55  # of the mask in an overlay


def image_files(path: Path) -> dict[Path, Path]:
    """{image: where its mask goes, relative to the folder of masks} of an image, or of all files below a folder.

    Raises:
        InputError: there is no such path, or no image below it.
    """
    if path.is_file():
        return {path: Path(f"{path.stem}.png")}
    if not path.is_dir():
        raise InputError(f"images={path}: there is no such file or folder")
    below = sorted(
        (p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES), key=lambda p: natural_key(str(p))
    )
    if not below:
        raise InputError(f"images={path} holds no image: expected files {', '.join(IMAGE_SUFFIXES)}")
    names = {image: image.relative_to(path) for image in below}
    times = Counter(name.with_suffix("") for name in names.values())
    return {  # a.jpg and a.png must not share a mask
        image: name.with_suffix(".png") if times[name.with_suffix("")] == 1 else name.with_name(f"{name.name}.png")
        for image, name in names.items()
    }


def overlay_name(name: Path) -> Path:
    """Where the overlay beside a mask goes."""
    return name.with_name(f"{name.stem}_overlay.jpg")


def check_out(images: Path, files: Mapping[Path, Path], out: Path) -> None:
    """Check that no file is written in the place of an image, or among the images, to be taken for one the next time.

    Args:
        images: an image, or a folder with images.
        files: {image: where its mask goes, relative to `out`}.
        out: the folder of masks.

    Raises:
        InputError: it would be.
    """
    inside, around = out.resolve(), (images if images.is_dir() else images.parent).resolve()
    if inside == around or (images.is_dir() and inside.is_relative_to(around)):
        raise InputError(f"out={out} lies within images={images}: choose a folder outside of it")
    taken = {place for image in files for place in (image.resolve(), _place(image))}
    for name in files.values():
        for path in (out / name, out / overlay_name(name)):
            if (place := _place(path)) in taken or (images.is_dir() and place.is_relative_to(around)):
                raise InputError(f"out={out}: {path} would lie among those of images={images}: choose another folder")


def _place(path: Path) -> Path:
    """The entry of a folder that a path names; a link at its end stands for itself, as a written file replaces it."""
    return path.parent.resolve() / path.name


def save_indices(mask: np.ndarray, colours: np.ndarray, path: Path) -> None:
    """Write class indices uint8 (H, W) as a palette PNG; colours: uint8 (C, 3)."""
    picture = Image.fromarray(mask, mode="L").convert("L")
    picture.putpalette(colours.flatten().tolist())
    _save(picture, path)


@dataclass(frozen=True)
class TableValues:
    """Writes class indices as the values of a table, or its colours if it has no values.

    Args:
        table: what values and colours mean.
        class_names: C names.

    Raises:
        InputError: the table has neither a value nor a colour for some class.
    """

    table: MaskTable
    class_names: Sequence[str]

    def __post_init__(self) -> None:
        for index, name in enumerate(self.class_names):
            if index not in self._first:
                raise InputError(f"values=true: the table of the run has no value for class {name}: leave it out")

    @property
    def _first(self) -> dict[int, int]:
        """{class: its first value, or colour 0xRRGGBB}."""
        return {label: value for value, label in reversed(self.table.values or self.table.colours)}

    def save(self, mask: np.ndarray, path: Path) -> None:
        """Write class indices uint8 (H, W) by the table."""
        known = np.array([self._first[index] for index in range(len(self.class_names))])
        if not self.table.values:
            colours = np.stack([known >> 16, known >> 8 & 255, known & 255], axis=1).astype(np.uint8)
            _save(Image.fromarray(colours[mask]), path)
        else:
            _save(Image.fromarray(known.astype(np.uint8 if known.max() < 256 else np.uint16)[mask]), path)


def save_overlay(image: Tensor, mask: np.ndarray, colours: np.ndarray, path: Path) -> None:
    """Write the mask over its image (B, H, W) on the scale 0..255; JPEG, so that it is not taken for a mask.

    Of a mask (C, H, W) of several classes a pixel the colours are averaged; where there is none the image stays.
    """
    scene = as_rgb(image).permute(1, 2, 0).numpy()
    if mask.ndim == 3:
        mixed, some = mixed_colours(mask == 1, colours)
        shown = np.where(some[..., None], mixed, scene)
    else:
        shown = colours[mask]
    _save(Image.blend(Image.fromarray(scene), Image.fromarray(shown), _OPACITY), path, "JPEG", quality=90)


def class_colours(num_classes: int) -> np.ndarray:
    """The palette of figures, uint8 (C, 3)."""
    return palette(num_classes)


def _save(picture: Image.Image, path: Path, kind: str = "PNG", **options: int) -> None:
    with whole_file(path) as draft:
        picture.save(draft, format=kind, **options)
