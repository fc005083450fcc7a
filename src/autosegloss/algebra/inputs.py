"""From labels and logits to the maps a formula reads; the only place that knows `ignore_index`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from autosegloss.errors import InputError

_known_classes: ContextVar[bool] = ContextVar("known_classes", default=False)


@contextmanager
def labels_are_classes() -> Iterator[None]:
    """Here labels and predictions are known to lie in [0, C) or to be ignored: nobody looks, and waits for a GPU."""
    token = _known_classes.set(True)
    try:
        yield
    finally:
        _known_classes.reset(token)


def label_maps(labels: Tensor, num_classes: int, ignore_index: int | None) -> tuple[Tensor, Tensor]:
    """One-hot map (N, C, *S) and valid map (N, 1, *S), both bool, of labels (N, *S).

    Raises InputError for labels that are not integers or lie outside [0, C) without being `ignore_index`.
    """
    valid = valid_map(labels, num_classes, ignore_index)
    return _one_hot(labels.long(), num_classes) & valid, valid


def valid_map(labels: Tensor, num_classes: int, ignore_index: int | None) -> Tensor:
    """The valid map (N, 1, *S), bool, of labels (N, *S); raises InputError as `label_maps` does."""
    check_tensors(labels)
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InputError(f"labels must be class indices of an integer type, got {labels.dtype}")
    labels = labels.long()
    valid = torch.ones_like(labels, dtype=torch.bool) if ignore_index is None else labels != ignore_index
    _check_range("labels", labels, valid, num_classes, ignore_index)
    return valid.unsqueeze(1)


def soft_map(logits: Tensor, valid: Tensor) -> Tensor:
    """Softmax probabilities (N, C, *S) of logits, 0 at ignored pixels; at least float32 even for half precision."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    # Ignored logits are overwritten before the softmax: not even a nan there can reach a value or a gradient.
    return torch.softmax(logits.masked_fill(~valid, 0), dim=1) * valid


def checked_classes(preds: Tensor, valid: Tensor, num_classes: int) -> Tensor:
    """Predicted classes (N, *S) as they are; raises InputError unless those of valid pixels lie in [0, C)."""
    _check_range("predictions", preds, valid.squeeze(1), num_classes, None)
    return preds


def check_tensors(*values: Tensor) -> None:
    """Raise InputError for anything but tensors, such as arrays of numpy."""
    for value in values:
        if not isinstance(value, Tensor):
            kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
            raise InputError(f"expected torch tensors, got {kind}: convert it with torch.as_tensor")


def check_shapes(logits: Tensor, labels: Tensor) -> None:
    """Raise InputError unless logits (N, C, *S) are floating point and fit labels (N, *S), with 2 or 3 axes in S."""
    check_tensors(logits, labels)
    if not logits.is_floating_point():
        raise InputError(f"logits must be floating point scores (N, C, H, W), got {logits.dtype}")
    if logits.ndim not in (4, 5) or logits.shape[:1] + logits.shape[2:] != labels.shape:
        raise InputError(
            "expected logits (N, C, H, W) or (N, C, D, H, W) and labels of the same shape without C, "
            f"got logits {tuple(logits.shape)} and labels {tuple(labels.shape)}"
        )


def total(m: Tensor, mask: Tensor) -> Tensor:
    """Sum over images and pixels of a map (N, C, *S) within mask (N, 1, *S) -> (C,); exact int64 for bool maps."""
    if not isinstance(m, Tensor):
        return m.total(mask)
    return within(m, mask).sum(dim=(0, *range(2, m.ndim)))


def larger(a: Tensor, b: Tensor) -> Tensor:
    """The larger of two maps, pixel by pixel: OR of crisp ones."""
    if not isinstance(a, Tensor) or a.dtype == torch.bool:
        return torch.maximum(a, b)
    return b + torch.relu(a - b)  # its gradient takes half the time of that of a maximum


def within(m: Tensor, mask: Tensor) -> Tensor:
    """A map (N, C, *S), crisp or soft, that is empty outside of mask (N, 1, *S), bool."""
    if not isinstance(m, Tensor) or m.dtype == torch.bool:
        return m & mask
    return m * mask.to(m.dtype)  # float times bool takes five times as long


def _one_hot(classes: Tensor, num_classes: int) -> Tensor:
    index = torch.arange(num_classes, device=classes.device).view(-1, *[1] * (classes.ndim - 1))
    return classes.unsqueeze(1) == index


def _check_range(what: str, values: Tensor, valid: Tensor, num_classes: int, ignore_index: int | None) -> None:
    if _known_classes.get():
        return
    seen = values.where(valid, 0)
    low, high = torch.stack(seen.aminmax()).tolist() if seen.numel() else (0, 0)  # one wait for the device
    if low < 0 or high >= num_classes:
        found = seen[(seen < 0) | (seen >= num_classes)].unique()[:5].tolist()
        remedy = f"; pixels to leave out must be {ignore_index} (ignore_index)" if ignore_index is not None else ""
        raise InputError(f"{what} must lie in [0, {num_classes}), got {found}{remedy}")
