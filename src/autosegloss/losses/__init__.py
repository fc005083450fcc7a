"""Hand-made losses, the baselines of the paper: modules called with (logits, labels), like the surrogates.

Logits are floats (N, C, *S), labels integers (N, *S), or as their `task` has them. All losses obey the same laws: they
compute in at least float32; ignored pixels change neither value nor gradient, even if their logits are nan; a batch of
ignored pixels alone has loss 0 and gradient 0.
"""

from autosegloss.losses.cross_entropy import CrossEntropy
from autosegloss.losses.distance_penalty import DistancePenalizedCrossEntropy
from autosegloss.losses.library import ClassMeanLoss, FocalLoss, LibraryLoss, SinglePrecisionLoss
from autosegloss.losses.schedule import LossSchedule
from autosegloss.losses.ssim import SSIMLoss
from autosegloss.losses.weighted_cross_entropy import WeightedCrossEntropy
from autosegloss.losses.weighted_sum import WeightedSum
from autosegloss.scale import Scaled

__all__ = [
    "ClassMeanLoss",
    "CrossEntropy",
    "DistancePenalizedCrossEntropy",
    "FocalLoss",
    "LibraryLoss",
    "LossSchedule",
    "SSIMLoss",
    "Scaled",
    "SinglePrecisionLoss",
    "WeightedCrossEntropy",
    "WeightedSum",
]
