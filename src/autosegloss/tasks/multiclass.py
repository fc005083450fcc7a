"""One class a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from autosegloss.algebra.activations import SOFTMAX, Activation
from autosegloss.algebra.checks import check_num_classes, check_shapes
from autosegloss.algebra.inputs import (
    compute_dtype,
    label_map,
    predicted_classes,
    predicted_map,
    valid_map,
    zero_ignored,
)
from autosegloss.algebra.maps import Map, SoftLabels
from autosegloss.algebra.truth import Truth
from autosegloss.errors import InputError
from autosegloss.tasks.labels import check_soft, counting, within
from autosegloss.tasks.task import Task


@dataclass(frozen=True)
class Multiclass(Task):
    """One of C classes a pixel: logits (N, C, *S), labels (N, *S) integers, or soft labels (N, C, *S) floating point.

    Soft labels of a pixel are probabilities that sum to 1; a pixel with `ignore_index` in any channel does not count.
    """

    name: ClassVar[str] = "multiclass"
    activation: ClassVar[Activation] = SOFTMAX

    def batch(
        self, logits: Tensor, labels: Tensor, ignore_index: int | None, valid: Tensor | None = None
    ) -> tuple[Tensor, Truth]:
        if isinstance(labels, Tensor) and labels.is_floating_point() and labels.shape == getattr(logits, "shape", None):
            check_shapes(logits, labels[:, 0])
            return logits, _soft(labels, ignore_index, valid)
        check_shapes(logits, labels)
        true = label_map(labels, logits.shape[1], ignore_index)
        if valid is not None:
            true = true.within(within(true.mask, valid))
        return logits, Truth(true, true.mask)

    def judged(
        self,
        preds: Tensor,
        labels: Tensor,
        num_classes: int,
        ignore_index: int | None,
        valid: Tensor | None = None,
        from_logits: bool = True,
    ) -> tuple[Map, Truth]:
        preds = predicted_classes(preds, labels, num_classes)
        true = label_map(labels, num_classes, ignore_index, dtype=torch.int32)
        if valid is not None:
            true = true.within(within(true.mask, valid))
        return predicted_map(preds, true), Truth(true, true.mask)

    def num_classes(self, given: int | None) -> int:
        return check_num_classes(given)

    def channels(self, labels: int) -> int:
        return labels

    def predicted(self, logits: Tensor) -> Tensor:
        return logits.argmax(dim=1)

    @property
    def decision(self) -> str:
        return "the class is their argmax over axis 1"

    def crisp(self, logits: Tensor, labels: Tensor, ignore_index: int | None) -> tuple[Tensor, Truth]:
        check_shapes(logits, labels)
        true = label_map(labels, logits.shape[1], ignore_index)
        return logits, Truth(true, true.mask)

    def cross_entropy(self, logits: Tensor, labels: Tensor, ignore_index: int | None) -> Tensor:
        """Mean over the valid pixels of -log p_y."""
        valid = valid_map(labels, logits.shape[1], ignore_index)
        each = F.cross_entropy(
            logits.float().masked_fill(~valid, 0), zero_ignored(labels, valid).long(), reduction="none"
        )
        return (each * valid.squeeze(1)).sum() / valid.sum().clamp_min(1)

    def background(self, class_names: Sequence[str] | None) -> int | None:
        """The class of this name, or 0 if classes have no names."""
        names = [name.lower() for name in class_names or ["background"]]
        if "background" not in names:
            raise InputError(f"classes='foreground': no class is named background: list those of {', '.join(names)}")
        return names.index("background")

    def left_out(self, ignore_index: int | None) -> int | None:
        return ignore_index


def _soft(labels: Tensor, ignore_index: int | None, valid: Tensor | None) -> Truth:
    every = counting(labels, ignore_index).all(dim=1, keepdim=True)
    seen = every if valid is None else within(every, valid)
    labels = labels.detach().to(compute_dtype(labels.dtype)).where(seen, 0)
    check_soft(labels, seen)
    return Truth(SoftLabels(labels), seen)
