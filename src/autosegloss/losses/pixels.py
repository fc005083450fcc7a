"""Shared by the losses: masked logits, cross-entropy per pixel, the mean over valid pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from autosegloss.algebra.checks import check_shapes
from autosegloss.algebra.constants import constants
from autosegloss.algebra.inputs import compute_dtype, valid_map, zero_ignored


def masked(logits: Tensor, labels: Tensor, ignore_index: int | None) -> tuple[Tensor, Tensor]:
    """Logits (N, C, *S) of at least float32 with 0 at ignored pixels, and the valid map, bool (N, 1, *S).

    Raises InputError if the shapes of logits and labels do not match, or a label lies outside [0, C).
    """
    check_shapes(logits, labels)
    valid = valid_map(labels, logits.shape[1], ignore_index)
    logits = logits.to(compute_dtype(logits.dtype))
    return logits.masked_fill(~valid, 0), valid  # before any arithmetic: a nan must not reach a gradient


def cross_entropy(
    logits: Tensor, labels: Tensor, ignore_index: int | None, weight: Sequence[float] | None = None
) -> tuple[Tensor, Tensor]:
    """-w_y log softmax(logits)_y of each pixel, 0 at ignored pixels, and the valid map; both (N, *S)."""
    logits, valid = masked(logits, labels, ignore_index)
    classes, valid = zero_ignored(labels, valid), valid.squeeze(1)
    weights = None if weight is None else constants(weight, logits)
    return F.cross_entropy(logits, classes, weights, reduction="none") * valid, valid


def mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid pixels of values that are 0 elsewhere; 0 without valid pixels."""
    return values.sum() / valid.sum().clamp_min(1)
