"""Any number of classes a pixel."""

from __future__ import annotations

import math
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
        threshold: of the probability above which a class is predicted.

    Raises:
        InputError: for a threshold outside of (0, 1).
    """

    name: ClassVar[str] = "multilabel"
    activation: ClassVar[Activation] = SIGMOID
    exclusive: ClassVar[bool] = False
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not is_number(self.threshold) or not 0 < self.threshold < 1:
            raise InputError(f"threshold: expected a number in (0, 1), got {self.threshold!r}")

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

    def channels(self, labels: int) -> int:
        return labels

    def predicted(self, logits: Tensor) -> Tensor:
        return self._above(logits, from_logits=True).long()

    @property
    def decision(self) -> str:
        return f"a class is predicted where their sigmoid is above {self.threshold:g}"

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
        return preds > (math.log(self.threshold / (1 - self.threshold)) if from_logits else self.threshold)


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
