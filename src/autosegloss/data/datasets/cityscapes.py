"""Cityscapes: driving scenes of 2048x1024 pixels from 50 cities, in the 19 classes that are evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor
from torchvision.datasets import Cityscapes as Official

from autosegloss.data.datasets.listed import files_in, listed_pairs
from autosegloss.data.datasets.masks import read_mask
from autosegloss.data.datasets.pairs import existing_root, natural_key
from autosegloss.data.datasets.source import Sample, Source
from autosegloss.errors import InputError

LAYOUT = (
    "expected ROOT/leftImg8bit/{train,val}/CITY/*_leftImg8bit.png and ROOT/gtFine/{train,val}/CITY/"
    "*_gtFine_labelIds.png from leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip, for which "
    "www.cityscapes-dataset.com asks for an account"
)
# Files hold -1, the id of licence plates, as 255. Unknown ids stay as they are, and are reported as no class.
TRAIN_IDS = {known.id % 256: known.train_id % 256 for known in Official.classes}


@dataclass(frozen=True)
class Cityscapes(Source):
    """Cityscapes (Cordts et al. 2016) with fine annotations.

    Pixels outside the 19 classes are ignored. The labels of the test split are not public, so it is empty. `samples`
    raises InputError for a folder of another layout; a part of the images suffices.

    Args:
        root: the folder with leftImg8bit/ and gtFine/. Masks are *_labelIds.png, or *_labelTrainIds.png where an
            image has no such file.
    """

    root: str | Path | None = None

    class_names = tuple(
        known.name
        for known in sorted(Official.classes, key=lambda known: known.train_id)
        if known.train_id in range(19)
    )
    expected: ClassVar[dict[str, int]] = {"train": 2975, "val": 500, "test": 0}

    def samples(self, split: str) -> Sequence[Sample]:
        root = existing_root(self.root, LAYOUT)
        folder = root / "leftImg8bit" / split
        if not (root / "leftImg8bit" / "train").is_dir():
            raise InputError(f"{root} holds no leftImg8bit/train/: {LAYOUT}")
        if split == "test" or not folder.is_dir():
            return []
        images: dict[str, str] = {}
        masks: dict[str, str] = {}
        for city in folder.iterdir():
            labels = root / "gtFine" / split / city.name
            images |= files_in(city, "_leftImg8bit.png")
            masks |= files_in(labels, "_gtFine_labelTrainIds.png") | files_in(labels, "_gtFine_labelIds.png")
        if not images:
            raise InputError(f"{folder} holds no images: {LAYOUT}")
        return listed_pairs(sorted(images, key=natural_key), images, masks, _read, LAYOUT)


def _read(path: Path) -> Tensor:
    return read_mask(path, TRAIN_IDS if path.name.endswith("_labelIds.png") else {})
