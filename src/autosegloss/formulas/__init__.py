"""The metrics, each written once: a new one is one file here (and a yaml in conf/metric)."""

from ..registry import import_members
from .accuracy import GlobalAccuracy, MeanAccuracy
from .boundary import BoundaryF1, BoundaryIoU
from .formula import CLASS_RULES, Formula, Statistics
from .iou import FrequencyWeightedIoU, MeanIoU

__all__ = [
    "CLASS_RULES",
    "PAPER",
    "BoundaryF1",
    "BoundaryIoU",
    "Formula",
    "FrequencyWeightedIoU",
    "GlobalAccuracy",
    "MeanAccuracy",
    "MeanIoU",
    "Statistics",
]

PAPER = ("gacc", "macc", "miou", "fwiou", "biou", "bf1")
"""The six metrics of the paper's Table 1."""

import_members(__name__, __path__)
