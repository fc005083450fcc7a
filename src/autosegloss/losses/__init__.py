"""Losses made by hand, the baselines of the paper: modules called with (logits, labels), as the surrogates are.

All of them obey the same laws: they compute in at least float32, ignored pixels (also with nan in them) change neither
value nor gradient, and a batch that is all ignored has loss 0 and gradient 0.
"""

from autosegloss.losses.distance_penalty import DistancePenalizedCrossEntropy
from autosegloss.losses.library import LibraryLoss
from autosegloss.losses.ssim import SSIMLoss
from autosegloss.losses.weighted_cross_entropy import WeightedCrossEntropy
from autosegloss.losses.weighted_sum import WeightedSum

__all__ = ["DistancePenalizedCrossEntropy", "LibraryLoss", "SSIMLoss", "WeightedCrossEntropy", "WeightedSum"]
