"""Data: a `Source` lists labelled images, and `SegmentationData` makes batches of them.

A data set of your own needs no code if it is laid out as `Folder` expects, or else a `Source` like `CamVid`.
"""

from autosegloss.data.boundary import Boundary
from autosegloss.data.colours import Colours
from autosegloss.data.datamodule import SegmentationData
from autosegloss.data.datasets.camvid import CamVid
from autosegloss.data.datasets.cityscapes import Cityscapes
from autosegloss.data.datasets.folder import Folder
from autosegloss.data.datasets.masks import read_mask
from autosegloss.data.datasets.pairs import load_pair
from autosegloss.data.datasets.pet import OxfordPet
from autosegloss.data.datasets.shapes import Shapes
from autosegloss.data.datasets.source import Sample, Source
from autosegloss.data.datasets.voc import VOC
from autosegloss.data.from_config import from_config
from autosegloss.data.holdout import block_split
from autosegloss.data.transforms import Augment

__all__ = [
    "VOC",
    "Augment",
    "Boundary",
    "CamVid",
    "Cityscapes",
    "Colours",
    "Folder",
    "OxfordPet",
    "Sample",
    "SegmentationData",
    "Shapes",
    "Source",
    "block_split",
    "from_config",
    "load_pair",
    "read_mask",
]
