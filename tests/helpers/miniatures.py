"""Public data sets in miniature: the real folders, files and formats, with a few images of a few pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

SIZE = (6, 8)  # height and width


def image(path: Path, value: int = 0, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path)


def striped(values: Sequence[int], size: tuple[int, int] = SIZE) -> np.ndarray:
    """A mask whose columns take the values in turn."""
    return np.tile(np.resize(np.array(values, np.uint8), size[1]), (size[0], 1))


def grey(path: Path, values: Sequence[int], size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(striped(values, size)).save(path)


def palette(path: Path, values: Sequence[int]) -> None:
    """A mask of VOC: indices into a palette of colours, which have nothing to do with the indices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(striped(values)).convert("P")
    picture.putpalette([(37 * k) % 256 for k in range(768)])
    picture.putdata(striped(values).flatten().tolist())
    picture.save(path)


def mat(path: Path, values: Sequence[int]) -> None:
    """A mask of SBD: a MATLAB struct with the fields Segmentation, Boundaries and CategoriesPresent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    segmentation = striped(values)
    present = np.unique(segmentation[segmentation > 0])[:, None]
    boundaries = np.empty((20, 1), object)
    boundaries[:] = [[np.zeros(SIZE, np.uint8)]]
    fields = {"Segmentation": segmentation, "Boundaries": boundaries, "CategoriesPresent": present}
    savemat(path, {"GTcls": fields}, do_compression=True)


def names(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def voc(root: Path) -> Path:
    """VOCdevkit/VOC2012 of two training images and one to validate on, and two more images that SBD annotates."""
    folder = root / "VOCdevkit" / "VOC2012"
    lists = folder / "ImageSets" / "Segmentation"
    train, val = ["2007_000032", "2007_000039"], ["2007_000033"]
    names(lists / "train.txt", *train)
    names(lists / "val.txt", *val)
    names(lists / "trainval.txt", *train, *val)
    for number, name in enumerate([*train, *val, "2008_000015", "2011_003276"]):
        image(folder / "JPEGImages" / f"{name}.jpg", 10 * number)
    for name in [*train, *val]:
        palette(folder / "SegmentationClass" / f"{name}.png", [0, 20, 255])
    return folder


def sbd(folder: Path) -> Path:
    """SBD of five images: an own one in each list, two that VOC trains on, and one that it validates on."""
    names(folder / "train.txt", "2011_003276", "2007_000032", "2007_000033")
    names(folder / "val.txt", "2008_000015", "2007_000039")
    for name in ("2011_003276", "2007_000032", "2007_000033", "2008_000015", "2007_000039"):
        image(folder / "img" / f"{name}.jpg", 99)
        mat(folder / "cls" / f"{name}.mat", [0, 7])
    return folder


def cityscapes(root: Path, labels: str = "labelIds", values: Sequence[int] = (*range(34), 255)) -> Path:
    """Two cities to train on, one to validate on, one to test on; the masks hold every id that there is."""
    frames = {"train": ["aachen_000010_000019", "aachen_000002_000019", "zurich_000000_000019"]}
    frames |= {"val": ["lindau_000000_000019"], "test": ["berlin_000000_000019"]}
    for split, stems in frames.items():
        for number, stem in enumerate(stems):
            place = f"{split}/{stem.split('_')[0]}/{stem}"
            image(root / "leftImg8bit" / f"{place}_leftImg8bit.png", number, size=(6, 40))
            grey(root / "gtFine" / f"{place}_gtFine_{labels}.png", values, size=(6, 40))
            names(root / "gtFine" / f"{place}_gtFine_polygons.json", "{}")
    return root


def pets(root: Path) -> Path:
    """Ten pets in the list trainval and two in test; the first column of a list is the name."""
    folder = root / "oxford-iiit-pet"
    lists = {"trainval": [f"Abyssinian_{k}" for k in (1, 10, 2, 3, 4, 5, 6, 7, 8, 9)]}
    lists |= {"test": ["beagle_1", "beagle_2"]}
    for part, stems in lists.items():
        names(folder / "annotations" / f"{part}.txt", *(f"{stem} 1 1 1" for stem in stems))
        for stem in stems:
            image(folder / "images" / f"{stem}.jpg")
            grey(folder / "annotations" / "trimaps" / f"{stem}.png", [1, 2, 3])
    names(folder / "annotations" / "trimaps" / "._beagle_1.png", "left by macOS, as in the real archive")
    return folder
