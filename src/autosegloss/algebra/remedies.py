"""What to type where people hand over what other tools take: the remedies in the messages of checks."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

ONE_CHANNEL = (
    'a single foreground is task="binary"; where that is no option, make two channels of its logit z by '
    "torch.cat([torch.zeros_like(z), z], dim=1)"
)
LIBRARY_IGNORE = -100  # the label that torch and Hugging Face ignore
MODES = {4: "bilinear", 5: "trilinear"}


def of_object(value: object, labels: bool) -> str:
    """An object in the place of a tensor of logits or labels, and how to come to the tensor."""
    if value is None:
        return f"None: the batch has no {'labels' if labels else 'logits'}"
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    if isinstance(value, Mapping):
        keys = list(value)
        key = next((name for name in ("logits", "out") if name in keys), keys[0] if keys else "out")
        return f"{kind} with the keys {', '.join(map(repr, keys[:5]))}: take its tensor, as output[{key!r}]"
    if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        key = next(iter(value[0]), "masks")
        return f"{kind} of {len(value)} dicts: stack a tensor of each, as torch.stack([each[{key!r}] for each in it])"
    if isinstance(value, list | tuple) and any(isinstance(each, Tensor) for each in value) and labels:
        return f"{kind} of {len(value)} tensors: make one of them, as torch.stack(labels)"
    if isinstance(value, list | tuple) and any(isinstance(each, Tensor) for each in value):
        return (
            f"{kind} of {len(value)}: take one tensor, as outputs[0]; of several outputs (deep supervision) add up the "
            "loss of each, with labels of its size"
        )
    if isinstance(getattr(value, "logits", None), Tensor):
        return f"{kind}: take its tensor, as output.logits"
    if kind.startswith("PIL."):
        return f"{kind}: convert it with torch.as_tensor(numpy.array(image))"
    return f"{kind}: convert it with torch.as_tensor"


def of_classes(values: Tensor, labels: Tensor) -> str:
    """How logits (N, C, *S), or predicted classes (N, *S), and labels (N, *S) come to shapes that fit."""
    whole = not values.is_floating_point()
    if values.ndim > 3 and values.shape[1] == 1 and not whole:
        return f": {ONE_CHANNEL}"
    if labels.ndim > 3 and labels.shape[1] == 1 and values.ndim in (labels.ndim, labels.ndim - 1):
        return ": labels have no axis for classes, as after labels.squeeze(1)"
    if values.ndim > 3 and values.shape[1] == 1:
        return ": predicted classes have no axis for classes, as after preds.squeeze(1)"
    if values.shape == labels.shape and not whole:
        return (
            ": labels are class ids, so that one-hot labels become labels.argmax(dim=1); the logit (N, H, W) of a "
            'single foreground is task="binary", classes that do not exclude each other are task="multilabel"'
        )
    return (
        "" if whole else batch_axis(values, labels) or channels_last(values, labels) or size("logits", values, labels)
    )


def batch_axis(values: Tensor, labels: Tensor) -> str:
    """Of the logits (C, *S) of a single image."""
    if labels.ndim >= 2 and labels.shape == values.shape[1:]:
        return ": a single image needs a batch axis, as logits[None] and labels[None]"
    if values.ndim == 3 and labels.shape == (1, *values.shape[1:]):
        return ": a single image needs a batch axis, as logits[None]"
    return ""


def channels_last(values: Tensor, labels: Tensor) -> str:
    """Of logits (N, *S, C) or labels (N, *S, 1 or C) of classes."""
    if values.ndim > 3 and values.shape[:-1] == labels.shape:
        return ": channels come after the batch axis, as after logits.movedim(-1, 1)"
    if labels.ndim == values.ndim > 3 and labels.shape[:-1] == values.shape[:1] + values.shape[2:]:
        made = "labels.squeeze(-1)" if labels.shape[-1] == 1 else "labels.argmax(dim=-1) of one-hot labels"
        return f": labels have no axis for classes, as after {made}"
    return ""


def size(what: str, values: Tensor, labels: Tensor) -> str:
    """Of logits (N, C, *S) at another resolution than labels (N, *S) or (N, C, *S)."""
    first = 2 - values.ndim + labels.ndim
    if values.ndim not in MODES or first not in (1, 2) or not values.is_floating_point():
        return ""
    if values.shape[:first] != labels.shape[:first] or values.shape[2:] == labels.shape[first:]:
        return ""
    return (
        f": bring them to one size by torch.nn.functional.interpolate({what}, size=labels.shape[{first}:], "
        f'mode="{MODES[values.ndim]}")'
    )
