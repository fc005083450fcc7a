"""Shared by the losses: masked logits, cross-entropy per pixel, the mean over valid pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from autosegloss.algebra.constants import constants
from autosegloss.algebra.inputs import compute_dtype, zero_ignored
from autosegloss.errors import InputError
from autosegloss.tasks import Task
from autosegloss.tasks.multiclass import Multiclass

_MULTICLASS = Multiclass()


def masked(logits: Tensor, labels: Tensor, ignore_index: int | None, task: Task = _MULTICLASS) -> tuple[Tensor, Tensor]:
    """Logits (N, C, *S) of at least float32 with 0 at ignored pixels, and the valid map, bool (N, 1 or C, *S).

    Raises InputError if the shapes of logits and labels do not match, or a label is none of the task.
    """
    logits, truth = task.crisp(logits, labels, ignore_index)
    logits = logits.to(compute_dtype(logits.dtype))
    return logits.masked_fill(~truth.valid, 0), truth.valid  # before any arithmetic: a nan must not reach a gradient


def exclusive_task(loss: str, task: str | Task) -> Task:
    """The task; raises InputError unless a pixel has one label, as `loss` needs it."""
    resolved = Task.resolve(task)
    if not resolved.exclusive:
        raise InputError(
            f"{loss} has no form for task={resolved.name}, where a pixel has any number of classes: take "
            "cross_entropy, dice, jaccard, lovasz, or a surrogate"
        )
    return resolved


def cross_entropy(
    logits: Tensor, labels: Tensor, ignore_index: int | None, weight: Sequence[float] | None = None
) -> tuple[Tensor, Tensor]:
    """-w_y log softmax(logits)_y of each pixel, 0 at ignored pixels, and the valid map; both (N, *S)."""
    logits, valid = masked(logits, labels, ignore_index)
    classes, valid = zero_ignored(labels.long(), valid), valid.squeeze(1)
    weights = None if weight is None else constants(weight, logits)
    return F.cross_entropy(logits, classes, weights, reduction="none") * valid, valid


def mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid pixels of values that are 0 elsewhere; 0 without valid pixels."""
    return values.sum() / valid.sum().clamp_min(1)
