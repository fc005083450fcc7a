"""The ranking of trained networks: resampled scores, paired differences, guards, and the choice of a loss.

It depends on neither Hydra nor training: everything follows from the sums of every image, which add up.
"""

from autosegloss.ranking.choice import Contest, Recommendation
from autosegloss.ranking.evidence import Evidence, load_evidence, save_evidence
from autosegloss.ranking.field import Difference, Field, Mean
from autosegloss.ranking.guards import guard_of
from autosegloss.ranking.resampling import DRAWS, LEVEL, Interval, interval, resampled_scores, resamples
from autosegloss.ranking.verdict import Standing, Verdict

__all__ = [
    "DRAWS",
    "LEVEL",
    "Contest",
    "Difference",
    "Evidence",
    "Field",
    "Interval",
    "Mean",
    "Recommendation",
    "Standing",
    "Verdict",
    "guard_of",
    "interval",
    "load_evidence",
    "resampled_scores",
    "resamples",
    "save_evidence",
]
