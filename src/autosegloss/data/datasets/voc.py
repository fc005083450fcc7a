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
from autosegloss.data.datasets.masks import read_mask
from autosegloss.data.datasets.pairs import existing_root
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
TRAIN, VAL, AUGMENTED, SBD = 1464, 1449, 10_582, 11_355  # numbers of images


@dataclass(frozen=True)
class VOC(Source):
    """PASCAL VOC 2012 (Everingham et al. 2010) with the masks of SBD (Hariharan et al. 2011).

    Object boundaries (255) are ignored. `samples` raises InputError if files are missing, or if complete lists of VOC
    do not give 10,582 augmented training images; lists of other lengths count as a part of the data set.

    Args:
        root: the folder with VOCdevkit/VOC2012, or one of these two. SBD is a folder of .mat masks at ROOT/SBD,
            ROOT/benchmark_RELEASE/dataset or VOCdevkit/VOCaug/dataset, or a folder SegmentationClassAug of .png masks.
        augmented: True trains on (VOC train + SBD train + SBD val) - VOC val, with VOC's mask where both have one;
            False on VOC train alone.
        download: whether missing parts are downloaded into `root`.
    """

    root: str | Path | None = None
    augmented: bool = True
    download: bool = field(default=False, compare=False, repr=False)  # does not change the data

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
        """The number of samples of each split of the complete data set; the labels of "test" are not public."""
        return {"train": AUGMENTED if self.augmented else TRAIN, "val": VAL, "test": 0}

    def samples(self, split: str) -> Sequence[Sample]:
        if split == "test":
            return []
        voc, sbd = self._folders()
        train, val = (read_names(voc / f"ImageSets/Segmentation/{name}.txt") for name in ("train", "val"))
        images = (files_in(sbd / "img", ".jpg") if sbd else {}) | files_in(voc / "JPEGImages", ".jpg")
        masks, layout = files_in(voc / "SegmentationClass", ".png"), LAYOUT
        names = set(train if split == "train" else val)
        if split == "train" and self.augmented:
            more, masks_of_more = _masks_of_sbd(voc, sbd)
            names, layout = (more | names) - set(val), f"{LAYOUT}; {MORE}"
            if (len(train), len(val)) == (TRAIN, VAL) and len(names) != AUGMENTED:
                raise InputError(
                    f"{len(names)} augmented training images instead of {AUGMENTED}, with masks of SBD for {len(more)} "
                    f"images instead of {SBD}: unpack SBD anew; {MORE}"
                )
            masks = {name: masks_of_more[name] for name in masks_of_more.keys() - set(train)} | masks
        return listed_pairs(sorted(names), images, masks, _read, layout)

    def _folders(self) -> tuple[Path, Path | None]:
        """The folder VOC2012, and that of SBD if it exists; downloads them if `download` is set."""
        if self.download and self.root is not None:
            self._fetch(Path(self.root).expanduser())
        root = existing_root(self.root, LAYOUT)
        if (voc := _voc_in(root)) is None:
            raise InputError(f"{root} holds no VOC 2012: {LAYOUT}; data.download=true fetches it")
        return voc, _sbd_in(root, voc)

    def _fetch(self, root: Path) -> None:
        target = root / "VOCdevkit" / "VOC2012"
        fetch(target, lambda: _voc_in(root) is not None, _download_voc, f"unpack it yourself, {LAYOUT}")
        voc = _voc_in(root) or target
        if self.augmented and not (voc / READY).is_dir():
            remedy = f"unpack it yourself, {MORE}"
            fetch(root / "SBD", lambda: _sbd_in(root, voc) is not None, _download_sbd, remedy)


def _voc_in(root: Path) -> Path | None:
    folders = (root / "VOCdevkit" / "VOC2012", root / "VOC2012", root)
    return next((folder for folder in folders if (folder / "ImageSets" / "Segmentation").is_dir()), None)


def _sbd_in(root: Path, voc: Path) -> Path | None:
    places = ("SBD", "benchmark_RELEASE/dataset", "VOCaug/dataset")
    folders = (above / place for above in (root, voc.parent, voc.parent.parent) for place in places)
    return next((folder for folder in folders if (folder / "cls").is_dir()), None)


def _masks_of_sbd(voc: Path, sbd: Path | None) -> tuple[set[str], dict[str, str]]:
    """The names of the images that SBD annotates, and their masks: from SegmentationClassAug, or from SBD's lists."""
    if (voc / READY).is_dir():
        masks = files_in(voc / READY, ".png")
        return set(masks), masks
    if sbd is None:
        raise InputError(f"no masks of SBD for the augmented training split: {MORE}; data.download=true fetches them")
    listed = {name for part in ("train", "val") for name in read_names(sbd / f"{part}.txt")}
    return listed, files_in(sbd / "cls", ".mat")


def _read(path: Path) -> Tensor:
    """Read a mask of VOC (a palette image) or of SBD (a MATLAB struct GTcls with a field Segmentation)."""
    if path.suffix == ".png":
        return read_mask(path)
    try:
        mask = loadmat(path, variable_names=["GTcls"])["GTcls"]["Segmentation"][0, 0]
        return torch.from_numpy(np.ascontiguousarray(mask, dtype=np.uint8))
    except Exception as error:  # loadmat raises many types for broken files
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{path}: cannot be read as a mask of SBD ({reason}); replace the file") from error


def _download_voc(draft: Path) -> Path:
    VOCSegmentation(draft, year="2012", download=True)
    return draft / "VOCdevkit" / "VOC2012"


def _download_sbd(draft: Path) -> Path:
    download_and_extract_archive(SBDataset.url, draft, filename=SBDataset.filename, md5=SBDataset.md5)
    return draft / "benchmark_RELEASE" / "dataset"
