"""The contract of a metric written once: sums over pixels under some logic, then a score of the sums."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from autosegloss.algebra.logic import Logic
from autosegloss.registry import Registered

Statistics = dict[str, Tensor]
"""Sums over pixels and images by name, each (C,): int64 when read exactly, floating point when read softly."""


class Formula(Registered, ABC):
    """A segmentation metric as ONE formula; exact logic makes it the metric, soft logic the surrogate.

    Concrete formulas are frozen dataclasses with a `name`, the `operations` that take a curve (theta is laid out in
    this order), `statistics` and `class_scores`. Statistics hold "true", the class frequencies that decide presence.
    `classwise` says that the sums of a class depend on the maps of that class alone, so that a few classes may be read
    at a time.
    """

    kind: ClassVar[str] = "metric"
    operations: ClassVar[tuple[str, ...]]
    classwise: ClassVar[bool] = False

    @classmethod
    def named(cls, name: str, **options: Any) -> Formula:
        """The metric called `name` with its options; "miou+biou" is the weighted mean of the two."""
        if "+" in name:
            name, options = "sum", {"terms": name.split("+"), **options}
        return super().named(name, **options)

    @abstractmethod
    def statistics(self, logic: Logic, pred: Tensor, true: Tensor, valid: Tensor) -> Statistics:
        """Sums of maps pred (N, C, *S) and true (N, C, *S, bool), empty outside valid (N, 1, *S, bool)."""

    @abstractmethod
    def class_scores(self, sums: Statistics) -> Tensor:
        """Score of each class (C,) in [0, 1]; 0 for a class that is not defined."""

    def defined(self, sums: Statistics) -> Tensor:
        """Classes (C,) the evaluation metric averages over: those present in the ground truth."""
        return sums["true"] > 0

    def class_weights(self, sums: Statistics, classes: str) -> Tensor:
        """Weights (C,) of the class average: "all" classes (1/C), those "present" in the truth, those "defined"."""
        return CLASS_RULES[classes](self, sums).to(sums["true"].dtype)

    def score(self, sums: Statistics, classes: str = "defined") -> Tensor:
        """Weighted average of the class scores, a scalar; 0 where no class has weight."""
        weights = self.class_weights(sums, classes)
        return ratio((weights * self.class_scores(sums)).sum(), weights.sum())


CLASS_RULES = {
    "all": lambda formula, sums: torch.ones_like(sums["true"]),
    "present": lambda formula, sums: sums["true"] > 0,
    "defined": lambda formula, sums: formula.defined(sums),
}
"""Which classes count in the average, by the name that stands on a theta card."""

LOSS_RULES = ("all", "present")
"""The rules of a loss: softly read, every class has a union, so that "defined" would be "all" again."""


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """numerator / denominator with 0 / 0 = 0; counts divide in float64, and a vanishing soft sum has a finite slope."""
    if not denominator.is_floating_point():
        denominator = denominator.double()
    return numerator / denominator.clamp_min(1e-6)
