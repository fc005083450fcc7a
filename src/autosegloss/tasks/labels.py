"""From the labels of a batch to dense maps and masks."""

from __future__ import annotations

import sys
import warnings

import torch
from torch import Tensor

from autosegloss.algebra.checks import check_tensors
from autosegloss.algebra.inputs import compute_dtype, labels_are_trusted
from autosegloss.algebra.maps import DenseMap, SoftLabels
from autosegloss.algebra.masks import equal, holds
from autosegloss.algebra.remedies import LIBRARY_IGNORE
from autosegloss.algebra.truth import Truth
from autosegloss.errors import InputError

_BETWEEN = {"autosegloss", "torch", "torchmetrics"}  # packages between a user's line and a warning


def counting(labels: Tensor, ignore_index: int | None) -> Tensor:
    """Where labels are not those to ignore: bool, of their shape. Types of few bits do not hold each such label."""
    if ignore_index is None or labels.dtype == torch.bool:
        return torch.ones_like(labels, dtype=torch.bool)
    return ~equal(labels, ignore_index)


def within(mask: Tensor, valid: Tensor) -> Tensor:
    """A mask (N, K, *S) within the pixels of `valid`, (N, *S), (N, 1, *S) or (N, K, *S); InputError for another."""
    if isinstance(valid, Tensor) and valid.dtype == torch.bool:
        check_tensors(mask, valid)
        shape = valid.shape if valid.ndim == mask.ndim else (valid.shape[0], 1, *valid.shape[1:])
        if tuple(shape) in {(mask.shape[0], 1, *mask.shape[2:]), tuple(mask.shape)}:
            return mask & valid.view(shape)
    found = f"{valid.dtype} {tuple(valid.shape)}" if isinstance(valid, Tensor) else type(valid).__name__
    either = "" if mask.shape[1] == 1 else f" or {tuple(mask.shape)}"
    raise InputError(
        f"valid: expected a bool mask {(mask.shape[0], 1, *mask.shape[2:])}{either}, got {found}{_remedy(valid)}"
    )


def _remedy(valid: object) -> str:
    other = isinstance(valid, Tensor) and valid.dtype != torch.bool
    return ": make it bool by valid != 0" if other else ""


def independent(labels: Tensor, ignore_index: int | None, valid: Tensor | None) -> Truth:
    """The truth of labels (N, C, *S) of 0 and 1, or soft in [0, 1], of classes that do not exclude each other."""
    if labels.is_complex():
        raise InputError(f"labels must be bool, 0 and 1, or soft in [0, 1], got {labels.dtype}")
    labels = labels.detach()
    seen = counting(labels, ignore_index)
    if valid is not None:
        seen = within(seen, valid)
    if labels.dtype == torch.bool:
        return Truth(DenseMap(labels & seen), seen)
    true, trusted = equal(labels, 1), labels_are_trusted()
    if trusted and not labels.is_floating_point():
        return Truth(DenseMap(true & seen), seen)
    if not trusted and not holds(_neither(true, equal(labels, 0), seen)):
        return Truth(DenseMap(true & seen), seen)
    labels = labels.to(compute_dtype(labels.dtype)).where(seen, 0)
    if not trusted:
        _check_unit("labels", labels, ignore_index)
    return Truth(SoftLabels(labels), seen)


def _neither(one: Tensor, zero: Tensor, seen: Tensor) -> Tensor:
    """Where a label that is seen is not 0 and not 1, in the memory of `zero`: new pages cost more than this."""
    zero |= one
    return torch.gt(seen, zero, out=zero)


def check_predicted(preds: Tensor, valid: Tensor) -> None:
    """Raise InputError unless predicted labels (N, C, *S), integers, are 0 and 1 at the pixels that count."""
    if not labels_are_trusted():
        _check_unit("predictions", preds.where(valid, 0), None)


def check_soft(labels: Tensor, seen: Tensor) -> None:
    """Raise InputError unless soft labels (N, C, *S) are probabilities that sum to 1 at the pixels that are seen."""
    if labels_are_trusted():
        return
    _check_unit("labels", labels, None)
    total = labels.sum(dim=1, keepdim=True).where(seen, 1)
    if total.numel() and (worst := (total - 1).abs().max().item()) > 1e-3:
        raise InputError(
            f"soft labels must sum to 1 over the classes of a pixel, they miss it by up to {worst:.3g}: divide them by "
            'their sum, or use task="multilabel" for classes that do not exclude each other'
        )


def check_probs(probs: Tensor, exclusive: bool) -> None:
    """Raise InputError unless (N, C, *S) are probabilities, which sum to 1 if the classes exclude each other."""
    if labels_are_trusted() or not probs.numel():
        return
    seen = probs.detach()[~probs.detach().isnan()]
    low, high = (seen.min().item(), seen.max().item()) if seen.numel() else (0, 1)
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"from_logits=False takes probabilities in [0, 1], got values from {low:.4g} to {high:.4g}: leave it out "
            "for logits"
        )
    if exclusive and (worst := (probs.detach().sum(dim=1) - 1).abs().nan_to_num().max().item()) > 1e-2:
        raise InputError(
            f"from_logits=False takes probabilities that sum to 1 over the classes, they miss it by up to {worst:.3g}: "
            "apply a softmax, or leave it out for logits"
        )


def _level_of_caller() -> int:
    """The stack level, for a warning of the calling function, of the code that has called the library."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    return level


class FirstLook:
    """Warns where the first batch of a loss or metric looks like probabilities in the place of logits.

    Args:
        exclusive: the classes exclude each other, so that probabilities sum to 1; those of others lie in [0, 1] and
            come near both ends, which logits of a fresh network do not.
    """

    def __init__(self, exclusive: bool):
        self.exclusive, self.done = exclusive, False

    def at(self, logits: Tensor) -> None:
        """Look at logits (N, C, *S), unless their values cannot be read."""
        if self.done or labels_are_trusted() or not logits.numel() or not logits.is_floating_point():
            return
        self.done = True
        first = logits[:1].detach().float()
        low, high = (value.item() for value in first.aminmax())
        if not (low >= 0 and high <= 1 and high > low):
            return
        if ((first.sum(dim=1) - 1).abs() < 1e-2).all() if self.exclusive else low < 0.05 and high > 0.95:
            warnings.warn(
                "these logits look like probabilities in [0, 1]: give the values before the "
                f"{'softmax' if self.exclusive else 'sigmoid'}, or say from_logits=False",
                stacklevel=_level_of_caller(),
            )


def _check_unit(what: str, values: Tensor, ignore_index: int | None) -> None:
    """Raise InputError unless labels or predictions, 0 where they do not count, lie in [0, 1]."""
    if not values.numel():
        return
    low, high = (value.item() for value in values.aminmax())
    if not (low >= 0 and high <= 1):  # nan, too
        mask = low == 0 and bool(((values == 0) | (values == high)).all())
        ignored = f": or say ignore_index={LIBRARY_IGNORE}" if low == LIBRARY_IGNORE else ""
        remedy = f"; of a mask of 0 and {high:g} make {what} by ({what} == {high:g})" if mask else ignored
        but = "" if ignore_index is None else f", or {ignore_index} where a pixel does not count"
        raise InputError(f"{what} must lie in [0, 1]{but}, got values from {low:g} to {high:g}{remedy}")
