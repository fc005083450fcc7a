"""The layouts of folders that need no patterns: our own, and those of common tools."""

from __future__ import annotations

from pathlib import Path

from autosegloss.data.datasets.layout import Layout
from autosegloss.data.datasets.source import SPLITS
from autosegloss.errors import InputError

LAYOUT = "expected ROOT/{train,val,test}/{images,masks}/NAME.png, or unsplit ROOT/{images,masks}/NAME.png"
PATTERNS = (
    'or say where they are, as data.source.images="**/*.jpg" data.source.masks="{parent}/../masks/{stem}_mask.png"'
)

# The layouts of common tools, those with splits first: a folder images/train fits the unsplit one, too.
LAYOUTS = (
    Layout("{split}/images/**/*", "{split}/masks/{path}.*"),
    Layout("{split}/images/**/*", "{split}/labels/{path}.*"),
    Layout("images/{split}/**/*", "masks/{split}/{path}.*"),
    Layout("images/{split}/**/*", "labels/{split}/{path}.*"),
    Layout("images/{split}/**/*", "annotations/{split}/{path}.*"),  # ADE20K
    Layout("img_dir/{split}/**/*", "ann_dir/{split}/{path}.*"),  # MMSegmentation
    Layout("{split}/*", "{split}/{stem}_mask.png"),  # Roboflow
    Layout("images/**/*", "masks/{path}.*"),
    Layout("images/**/*", "labels/{path}.*"),
    Layout("JPEGImages/**/*", "SegmentationClass/{path}.*"),  # PASCAL VOC, CVAT
)


def found_layout(root: Path) -> Layout:
    """The first of LAYOUTS that a folder has; raises InputError for another layout."""
    for layout in LAYOUTS:
        if layout.fits(root):
            return layout
    if any((root / split / "images").is_dir() for split in SPLITS):
        return LAYOUTS[0]  # its masks are missing, as the search for pairs will say
    if (root / "images").is_dir():
        return Layout("images/**/*", "masks/{path}.*")
    raise InputError(f"{root} has no known layout: {LAYOUT}; {PATTERNS}, or choose a data set, as data=camvid")
