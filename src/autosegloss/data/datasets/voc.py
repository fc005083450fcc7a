"""PASCAL VOC 2012: 20 kinds of objects and the background, with the masks that SBD adds to the training split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy.io import loadmat
from torch import Tensor
from torchvision.datasets import SBDataset, VOCSegmentation
from torchvision.datasets.utils import download_and_extract_archive

from autosegloss.data.datasets.download import fetch
from autosegloss.data.datasets.listed import files_in, listed_pairs, read_names
from autosegloss.data.datasets.pairs import existing_root, read_mask
from autosegloss.data.datasets.source import Sample, Source
from autosegloss.errors import InputError

LAYOUT = (
    "expected ROOT/VOCdevkit/VOC2012/{JPEGImages,SegmentationClass,ImageSets/Segmentation} from "
    "VOCtrainval_11-May-2012.tar of host.robots.ox.ac.uk/pascal/VOC/voc2012"
)
MORE = (
    "expected SBD's folders img/ and cls/ and its train.txt and val.txt in ROOT/SBD, from benchmark.tgz of "
    "home.bharathh.info/pubs/codes/SBD, or SegmentationClassAug beside SegmentationClass, "
    "or data.source.augmented=false"
)
READY = "SegmentationClassAug"
TRAIN, VAL, AUGMENTED, SBD = 1464, 1449, 10_582, 11_355  # how many images each has


@dataclass(frozen=True)
class VOC(Source):
    """Everingham et al. 2010, with the masks of Hariharan et al. 2011 (SBD); object boundaries, 255, are ignored.

    root: holds VOCdevkit/VOC2012, or is one of these two. SBD is its own folder with .mat masks, found as ROOT/SBD,
        ROOT/benchmark_RELEASE/dataset or VOCdevkit/VOCaug/dataset; or a folder SegmentationClassAug of .png masks.
    augmented: train on (VOC train + SBD train + SBD val) - VOC val instead of VOC train alone. Where both have a mask,
        VOC's is taken.
    download: fetch what is missing into ROOT.
    Raises InputError, when asked for samples, if files are missing, and if complete lists of VOC do not give
    10,582 augmented training images; lists of other lengths are taken for a part of the data set.
    """

    root: str | Path | None = None
    augmented: bool = True
    download: bool = field(default=False, compare=False, repr=False)  # the data are the same

    class_names = (
        "background",
        "aeroplane",
        "bicycle",
        "bird",
        "boat",
        "bottle",
        "bus",
        "car",
        "cat",
        "chair",
        "cow",
        "dining table",
        "dog",
        "horse",
        "motorbike",
        "person",
        "potted plant",
        "sheep",
        "sofa",
        "train",
        "tv/monitor",
    )

    @property
    def expected(self) -> dict[str, int]:
        """The samples of each split of the whole data set; labels of the test split are not public."""
        return {"train": AUGMENTED if self.augmented else TRAIN, "val": VAL, "test": 0}

    def samples(self, split: str) -> Sequence[Sample]:
        if split == "test":
            return []
        voc, sbd = self._folders()
        train, val = (read_names(voc / f"ImageSets/Segmentation/{name}.txt") for name in ("train", "val"))
        images = (files_in(sbd / "img", ".jpg") if sbd else {}) | files_in(voc / "JPEGImages", ".jpg")
        masks, names, layout = files_in(voc / "SegmentationClass", ".png"), {"train": train, "val": val}[split], LAYOUT
        if split == "train" and self.augmented:
            more, masks_of_more = _masks_of_sbd(voc, sbd)
            names, layout = (more | set(train)) - set(val), f"{LAYOUT}; {MORE}"
            if (len(train), len(val)) == (TRAIN, VAL) and len(names) != AUGMENTED:
                raise InputError(
                    f"{len(names)} augmented training images instead of {AUGMENTED}, with masks of SBD for {len(more)} "
                    f"images instead of {SBD}: unpack SBD anew; {MORE}"
                )
            masks = {name: masks_of_more[name] for name in masks_of_more.keys() - set(train)} | masks
        return listed_pairs(sorted(names), images, masks, _read, layout)

    def _folders(self) -> tuple[Path, Path | None]:
        """The folders VOC2012 and, where there is one, SBD; fetched if that is wanted."""
        if self.download and self.root is not None:
            self._fetch(Path(self.root).expanduser())
        root = existing_root(self.root, LAYOUT)
        if (voc := _voc_in(root)) is None:
            raise InputError(f"{root} holds no VOC 2012: {LAYOUT}; data.download=true fetches it")
        return voc, _sbd_in(root, voc)

    def _fetch(self, root: Path) -> None:
        target = root / "VOCdevkit" / "VOC2012"
        fetch(target, lambda: _voc_in(root) is not None, _get_voc, f"unpack it yourself, {LAYOUT}")
        if self.augmented and not (_voc_in(root) / READY).is_dir():
            fetch(
                root / "SBD", lambda: _sbd_in(root, _voc_in(root)) is not None, _get_sbd, f"unpack it yourself, {MORE}"
            )


def _voc_in(root: Path) -> Path | None:
    folders = (root / "VOCdevkit" / "VOC2012", root / "VOC2012", root)
    return next((folder for folder in folders if (folder / "ImageSets" / "Segmentation").is_dir()), None)


def _sbd_in(root: Path, voc: Path) -> Path | None:
    places = ("SBD", "benchmark_RELEASE/dataset", "VOCaug/dataset")
    folders = (above / place for above in (root, voc.parent, voc.parent.parent) for place in places)
    return next((folder for folder in folders if (folder / "cls").is_dir()), None)


def _masks_of_sbd(voc: Path, sbd: Path | None) -> tuple[set[str], dict[str, str]]:
    """The images that SBD has masks of, and those masks: from a ready folder, or as its lists say."""
    if (voc / READY).is_dir():
        masks = files_in(voc / READY, ".png")
        return set(masks), masks
    if sbd is None:
        raise InputError(f"no masks of SBD for the augmented training split: {MORE}; data.download=true fetches them")
    listed = {name for part in ("train", "val") for name in read_names(sbd / f"{part}.txt")}
    return listed, files_in(sbd / "cls", ".mat")


def _read(path: Path) -> Tensor:
    """A palette image of VOC, or a file of SBD, which holds struct GTcls with a field Segmentation."""
    if path.suffix == ".png":
        return read_mask(path)
    try:
        mask = loadmat(path, variable_names=["GTcls"])["GTcls"]["Segmentation"][0, 0]
        return torch.from_numpy(np.ascontiguousarray(mask, dtype=np.uint8))
    except Exception as error:  # the reader raises whatever a broken file leads it to
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{path}: cannot be read as a mask of SBD ({reason}); replace the file") from error


def _get_voc(draft: Path) -> Path:
    VOCSegmentation(draft, year="2012", download=True)
    return draft / "VOCdevkit" / "VOC2012"


def _get_sbd(draft: Path) -> Path:
    download_and_extract_archive(SBDataset.url, draft, filename=SBDataset.filename, md5=SBDataset.md5)
    return draft / "benchmark_RELEASE" / "dataset"
