"""The checks of logits, labels and their options; each message leads to a remedy."""

from __future__ import annotations

import torch
from torch import Tensor

from autosegloss.algebra import remedies
from autosegloss.errors import InputError, is_whole, whole_number


def check_num_classes(num_classes: int | None) -> int:
    """Return the number of classes; raises InputError unless it is an integer of 2 or more."""
    if is_whole(num_classes, least=1) and num_classes == 1:
        raise InputError(f"num_classes: expected an integer of 2 or more, got 1: {remedies.ONE_CHANNEL}")
    return whole_number("num_classes", num_classes, least=2)


def check_ignore_index(ignore_index: int | None) -> int | None:
    """Return the label to ignore; raises InputError unless it is an integer or None."""
    if ignore_index is not None and not is_whole(ignore_index, least=-(2**63)):
        raise InputError(f"ignore_index: expected an integer, or None to count all pixels, got {ignore_index!r}")
    return ignore_index


def check_tensors(*values: Tensor) -> None:
    """Raise InputError for anything but tensors on one device, such as arrays of numpy."""
    for place, value in enumerate(values):
        if not isinstance(value, Tensor):
            raise InputError(f"expected torch tensors, got {remedies.of_object(value, labels=place > 0)}")
        if value.device != values[0].device:
            raise InputError(
                f"expected predictions and labels on one device, got {values[0].device} and {value.device}: "
                "move the labels with labels.to(logits.device)"
            )


def check_integers(what: str, values: Tensor) -> None:
    """Raise InputError unless `values`, called `what` in the message, are of an integer type."""
    if not (values.is_floating_point() or values.is_complex() or values.dtype == torch.bool):
        return
    remedy = f"convert them by {what}.long()"
    if values.is_floating_point() and (values != values.floor()).any():
        remedy = "they hold fractions, as of a mask scaled to [0, 1]: read it without a scale"
    raise InputError(f"{what} must be class indices of an integer type, got {values.dtype}: {remedy}")


def check_shapes(logits: Tensor, labels: Tensor) -> None:
    """Raise InputError unless logits (N, C, *S) are floating point, C > 1, and fit labels (N, *S) of 2 or 3 axes S."""
    check_tensors(logits, labels)
    if not logits.is_floating_point():
        order = ": logits come before labels" if labels.is_floating_point() else ""
        raise InputError(f"logits must be floating point scores (N, C, H, W), got {logits.dtype}{order}")
    if logits.ndim not in (4, 5) or logits.shape[:1] + logits.shape[2:] != labels.shape:
        raise InputError(
            "expected logits (N, C, H, W) or (N, C, D, H, W) and labels of the same shape without C, "
            f"got logits {tuple(logits.shape)} and labels {tuple(labels.shape)}{remedies.of_classes(logits, labels)}"
        )
    if logits.shape[1] < 2:
        raise InputError(f"expected logits with a channel for each of 2 classes or more, got 1: {remedies.ONE_CHANNEL}")


def check_channels(logits: Tensor, num_classes: int) -> None:
    """Raise InputError unless logits (N, C, *S) have C = num_classes."""
    if logits.shape[1] != num_classes:
        raise InputError(f"expected logits with num_classes={num_classes} channels, got {logits.shape[1]}")


def check_predictions(preds: Tensor, labels: Tensor) -> None:
    """Raise InputError unless predicted classes are integers of the shape of the labels."""
    check_integers("predictions", preds)
    if preds.shape != labels.shape:
        raise InputError(
            "expected predicted classes of the shape of the labels, or floating point logits (N, C, H, W), "
            f"got {preds.dtype} {tuple(preds.shape)} and labels {tuple(labels.shape)}"
            f"{remedies.of_classes(preds, labels)}"
        )


def check_mask(mask: Tensor, shape: torch.Size, of_classes: bool = False) -> None:
    """Raise TypeError unless a mask of maps (N, C, *S) is a bool tensor (N, 1, *S), or `of_classes` (N, C, *S)."""
    one = torch.Size((shape[0], 1, *shape[2:]))
    fits = isinstance(mask, Tensor) and (mask.shape == one or (of_classes and mask.shape == shape))
    if not fits or mask.dtype != torch.bool:
        found = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"a mask must be a bool tensor {tuple(one)}, got {found}")


def check_range(what: str, values: Tensor, valid: Tensor, num_classes: int, ignore_index: int | None) -> None:
    """Raise InputError unless values (N, *S), 0 where valid (N, 1, *S) does not hold, lie in [0, C)."""
    low, high = torch.stack(values.aminmax()).tolist() if values.numel() else (0, 0)  # one wait for the device
    if low < 0 or high >= num_classes:
        raise _outside(what, values[valid.squeeze(1)], num_classes, ignore_index)


def _outside(what: str, seen: Tensor, num_classes: int, ignore_index: int | None) -> InputError:
    """The error for labels or predictions of which some lie outside [0, C); `seen` are those that count."""
    present = seen.unique()
    found = present[(present < 0) | (present >= num_classes)][:5].tolist()
    remedy = _label_remedy(present.tolist(), num_classes, ignore_index) if what == "labels" else ""
    return InputError(f"{what} must lie in [0, {num_classes}), got {found}{remedy}")


def _label_remedy(present: list[int], num_classes: int, ignore_index: int | None) -> str:
    if present[0] == remedies.LIBRARY_IGNORE:
        other = "" if ignore_index is None else f"pixels to leave out must be {ignore_index}, or "
        return f"; {other}say ignore_index={remedies.LIBRARY_IGNORE}"
    if num_classes == 2 and len(present) == 2 and present[0] == 0:
        return f"; of a mask of 0 and {present[1]} make classes by (labels == {present[1]}).long()"
    if present[0] > 0 and present[-1] == num_classes and len(present) > 1:
        return "; the labels seem to start at 1: subtract 1"
    if ignore_index is None:
        return ""
    return f"; each class needs a channel, and pixels to leave out must be {ignore_index} (ignore_index)"
