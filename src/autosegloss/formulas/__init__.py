"""The metrics, each written once: a new one is one file here (and a yaml in conf/metric)."""

from autosegloss.formulas.accuracy import GlobalAccuracy, MeanAccuracy
from autosegloss.formulas.boundary import BoundaryF1, BoundaryIoU
from autosegloss.formulas.cheng import ChengBoundaryIoU
from autosegloss.formulas.dice import Dice
from autosegloss.formulas.fbeta import FBeta
from autosegloss.formulas.formula import LOSS_RULES, Formula, Statistics, Sums, ratio
from autosegloss.formulas.iou import FrequencyWeightedIoU, MeanIoU
from autosegloss.formulas.mcc import MatthewsCorrelation
from autosegloss.formulas.nsd import SurfaceDice
from autosegloss.formulas.precision import Precision
from autosegloss.formulas.recall import Recall
from autosegloss.formulas.tversky import Tversky
from autosegloss.formulas.weighted_sum import WeightedSum, from_entry, named, resolve, weighted_sum
from autosegloss.registry import import_members

__all__ = [
    "LOSS_RULES",
    "PAPER",
    "BoundaryF1",
    "BoundaryIoU",
    "ChengBoundaryIoU",
    "Dice",
    "FBeta",
    "Formula",
    "FrequencyWeightedIoU",
    "GlobalAccuracy",
    "MatthewsCorrelation",
    "MeanAccuracy",
    "MeanIoU",
    "Precision",
    "Recall",
    "Statistics",
    "Sums",
    "SurfaceDice",
    "Tversky",
    "WeightedSum",
    "from_entry",
    "named",
    "ratio",
    "resolve",
    "weighted_sum",
]

PAPER = ("gacc", "macc", "miou", "fwiou", "biou", "bf1")
"""The six metrics of the paper's Table 1."""

import_members(__name__, __path__)
