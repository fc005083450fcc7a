"""Oxford-IIIT Pet: photographs of cats and dogs, the animal against the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from torchvision.datasets import OxfordIIITPet

from autosegloss.data.datasets.download import fetch
from autosegloss.data.datasets.listed import files_in, listed_pairs, read_names
from autosegloss.data.datasets.masks import read_mask
from autosegloss.data.datasets.pairs import existing_root, natural_key
from autosegloss.data.datasets.source import Sample, Source
from autosegloss.data.holdout import block_split
from autosegloss.errors import InputError, is_number

FOLDER = "oxford-iiit-pet"
LAYOUT = (
    f"expected ROOT/{FOLDER}/images and ROOT/{FOLDER}/annotations/{{trimaps,trainval.txt,test.txt}} "
    "from images.tar.gz and annotations.tar.gz of www.robots.ox.ac.uk/~vgg/data/pets"
)
TRAINVAL, TEST = 3680, 3669  # images in the two lists
# 1 is the pet, 2 the background, 3 the outline between them, which is ignored. 0 does not occur: it becomes no class.
TRIMAP = {0: 254, 1: 1, 2: 0, 3: 255}


@dataclass(frozen=True)
class OxfordPet(Source):
    """Oxford-IIIT Pet (Parkhi et al. 2012), pets and background; the outlines of the trimaps are ignored.

    `samples` raises InputError for a folder of another layout.

    Args:
        root: the folder with oxford-iiit-pet/ as torchvision lays it out, or oxford-iiit-pet itself.
        val_fraction: the share of the list trainval that becomes the split "val"; the rest is "train". 0 for no such
            split.
        seed: of the random draw of the split "val".
        download: whether a missing data set is downloaded into `root`.
    """

    root: str | Path | None = None
    val_fraction: float = 0.2
    seed: int = 0
    download: bool = field(default=False, compare=False, repr=False)  # does not change the data

    class_names = ("background", "pet")

    def __post_init__(self) -> None:
        if not is_number(self.val_fraction) or not 0 <= self.val_fraction < 1:
            raise InputError(f"data.source.val_fraction must be in [0, 1), got {self.val_fraction!r}")

    @property
    def expected(self) -> dict[str, int]:
        """The number of samples of each split of the complete data set."""
        parts = self._divide(TRAINVAL)
        return {"train": len(parts["train"]), "val": len(parts["val"]), "test": TEST}

    def samples(self, split: str) -> Sequence[Sample]:
        pets = self._folder()
        listed = read_names(pets / "annotations" / f"{'test' if split == 'test' else 'trainval'}.txt")
        names = sorted(listed, key=natural_key)
        if split != "test":
            names = [names[i] for i in self._divide(len(names))[split]]
        images, trimaps = files_in(pets / "images", ".jpg"), files_in(pets / "annotations" / "trimaps", ".png")
        return listed_pairs(names, images, trimaps, partial(read_mask, labels=TRIMAP), LAYOUT)

    def _divide(self, count: int) -> dict[str, list[int]]:
        if not (number := round(self.val_fraction * count)):
            return {"train": list(range(count)), "val": []}
        return dict(zip(("train", "val"), block_split(count, number, seed=self.seed), strict=True))

    def _folder(self) -> Path:
        if self.download and self.root is not None:
            root = Path(self.root).expanduser()
            fetch(root / FOLDER, lambda: _pets_in(root) is not None, _download, f"unpack it yourself, {LAYOUT}")
        root = existing_root(self.root, LAYOUT)
        if (pets := _pets_in(root)) is None:
            raise InputError(f"{root} holds no {FOLDER}/: {LAYOUT}; data.download=true fetches it")
        return pets


def _pets_in(root: Path) -> Path | None:
    return next((folder for folder in (root / FOLDER, root) if (folder / "annotations" / "trimaps").is_dir()), None)


def _download(draft: Path) -> Path:
    OxfordIIITPet(draft, download=True)
    return draft / FOLDER
