"""Maps, the logic that combines them, pooling, sums, and the way from labels and logits to maps."""

from autosegloss.algebra.inputs import LabelMap
from autosegloss.algebra.logic import ExactLogic, Logic
from autosegloss.algebra.maps import DenseMap, Map
from autosegloss.algebra.prediction import Prediction
from autosegloss.algebra.soft import PlainLogic, SoftLogic
from autosegloss.algebra.sums import CurveSum, Sum, Term

__all__ = [
    "CurveSum",
    "DenseMap",
    "ExactLogic",
    "LabelMap",
    "Logic",
    "Map",
    "PlainLogic",
    "Prediction",
    "SoftLogic",
    "Sum",
    "Term",
]
