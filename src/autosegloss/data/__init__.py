"""Data: a source says what there is, SegmentationData turns it into batches.

A data set of your own needs no code (Folder), or one file like camvid.py: a Source.
"""

from autosegloss.data.camvid import CamVid
from autosegloss.data.cityscapes import Cityscapes
from autosegloss.data.colours import Colours
from autosegloss.data.datamodule import SegmentationData, from_config
from autosegloss.data.folder import Folder
from autosegloss.data.pet import OxfordPet
from autosegloss.data.shapes import Shapes
from autosegloss.data.source import Sample, Source
from autosegloss.data.split import block_split
from autosegloss.data.transforms import Augment
from autosegloss.data.voc import VOC

__all__ = [
    "VOC",
    "Augment",
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
]
