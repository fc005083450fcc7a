"""The recall of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from autosegloss.formulas.accuracy import MeanAccuracy


@dataclass(frozen=True)
class Recall(MeanAccuracy):
    """Recall = 1/C sum_c |pred_c AND true_c| / |true_c|: mean accuracy by its other name."""

    name: ClassVar[str] = "recall"
