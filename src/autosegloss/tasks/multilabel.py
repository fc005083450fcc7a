"""Any number of classes a pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autosegloss.algebra import remedies
from autosegloss.algebra.activations import SIGMOID, Activation
from autosegloss.algebra.checks import check_tensors
from autosegloss.algebra.maps import DenseMap, Map
from autosegloss.algebra.truth import Truth
from autosegloss.errors import InputError, is_number, whole_number
from autosegloss.tasks.labels import check_predicted, check_probs, independent
from autosegloss.tasks.task import Task


@dataclass(frozen=True)
class Multilabel(Task):
    """C classes that do not exclude each other: logits and labels (N, C, *S), of 0 and 1, bool, or soft in [0, 1].

    Args:
        threshold: of the probability above which a class is predicted, one for all or one for each class.

    Raises:
        InputError: for a threshold outside of (0, 1).
    """

    name: ClassVar[str] = "multilabel"
    activation: ClassVar[Activation] = SIGMOID
    exclusive: ClassVar[bool] = False
    several: ClassVar[str] = ", or one for each class"
    threshold: float | tuple[float, ...] = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.threshold, str) and isinstance(self.threshold, Sequence):
            object.__setattr__(self, "threshold", tuple(self.threshold))
        if not self._thresholds or not all(is_number(one) and 0 < one < 1 for one in self._thresholds):
            raise InputError(f"threshold: expected a number in (0, 1){self.several}, got {self.threshold!r}")

    @property
    def _thresholds(self) -> tuple[float, ...]:
        return self.threshold if isinstance(self.threshold, tuple) else (self.threshold,)

    def batch(
        self, logits: Tensor, labels: Tensor, ignore_index: int | None, valid: Tensor | None = None
    ) -> tuple[Tensor, Truth]:
        logits, labels = self.aligned("logits", logits, labels)
        if not logits.is_floating_point():
            raise InputError(f"logits must be floating point scores, got {logits.dtype}")
        return logits, independent(labels, ignore_index, valid)

    def judged(
        self,
        preds: Tensor,
        labels: Tensor,
        num_classes: int,
        ignore_index: int | None,
        valid: Tensor | None = None,
        from_logits: bool = True,
    ) -> tuple[Map, Truth]:
        preds, labels = self.aligned("predictions", preds, labels)
        if preds.shape[1] != num_classes:
            raise InputError(f"expected predictions of num_classes={num_classes} channels, got {preds.shape[1]}")
        truth = independent(labels, ignore_index, valid)
        return DenseMap(self._predicted(preds, truth.valid, from_logits) & truth.valid), _crisp(truth)

    def num_classes(self, given: int | None) -> int:
        return whole_number("num_classes", 1 if given is None else given, least=1)

    def as_classes(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Each class as an image (N C, 2, *S) of its own, of two classes with logits 0 and z; labels (N C, *S)."""
        logits, labels = self.aligned("logits", logits, labels)
        return torch.stack([torch.zeros_like(logits), logits], dim=2).flatten(0, 1), labels.flatten(0, 1)

    def channels(self, labels: int) -> int:
        return labels

    def predicted(self, logits: Tensor) -> Tensor:
        return self._above(logits, from_logits=True).long()

    @property
    def decision(self) -> str:
        above = ", ".join(f"{one:g}" for one in self._thresholds)
        return f"a class is predicted where their sigmoid is above {above}"

    def aligned(self, what: str, values: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits or predictions, and labels, as (N, C, *S); raises InputError for other shapes."""
        check_tensors(values, labels)
        if values.ndim not in (4, 5) or values.shape != labels.shape:
            raise InputError(
                f"expected {what} and labels (N, C, H, W) or (N, C, D, H, W) of one shape, got {what} "
                f"{tuple(values.shape)} and labels {tuple(labels.shape)}{_remedy(what, values, labels)}"
            )
        return values, labels

    def _predicted(self, preds: Tensor, valid: Tensor, from_logits: bool) -> Tensor:
        """The classes that are predicted, bool."""
        if preds.dtype == torch.bool:
            return preds
        if not preds.is_floating_point():
            check_predicted(preds := preds.long(), valid)
            return preds == 1
        if not from_logits:
            check_probs(preds.where(valid, torch.nan), exclusive=False)
        return self._above(preds, from_logits)

    def _above(self, preds: Tensor, from_logits: bool) -> Tensor:
        cuts = [math.log(one / (1 - one)) if from_logits else one for one in self._thresholds]
        if len(cuts) == 1:
            return preds > cuts[0]
        if len(cuts) != preds.shape[1]:
            raise InputError(f"threshold: expected one for each of {preds.shape[1]} classes, got {len(cuts)}")
        return torch.stack([preds[:, c] > cut for c, cut in enumerate(cuts)], dim=1)


def _remedy(what: str, values: Tensor, labels: Tensor) -> str:
    if values.ndim == labels.ndim + 1 and values.shape[2:] == labels.shape[1:]:
        return (
            ': labels without C are class ids, those of task="multiclass"; of them make maps by '
            "torch.nn.functional.one_hot(labels, C).movedim(-1, 1)"
        )
    if values.ndim == 3 and values.shape == labels.shape:
        return f": a single image needs a batch axis, as {what}[None] and labels[None]"
    if values.ndim == labels.ndim > 3:
        for name, last, other in ((what, values, labels), ("labels", labels, values)):
            if last.movedim(-1, 1).shape == other.shape:
                return f": channels come after the batch axis, as after {name}.movedim(-1, 1)"
    return remedies.size(what, values, labels)


def _crisp(truth: Truth) -> Truth:
    """The truth of a metric; raises InputError for soft labels."""
    if not truth.true.crisp:
        raise InputError("a metric takes labels of 0 and 1, got soft ones: make them crisp by (labels > 0.5)")
    return truth
