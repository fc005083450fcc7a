"""The factor before a loss, and its calibration on cross-entropy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from typing_extensions import Self

from autosegloss import compiled
from autosegloss.algebra.checks import check_ignore_index
from autosegloss.algebra.inputs import compute_dtype
from autosegloss.errors import InputError, is_number
from autosegloss.tasks import Task

CE = "ce"
"""The scale that is set at the first batch, on cross-entropy."""


class ScaledLoss(nn.Module, ABC):
    """scale * loss(logits, labels); a subclass defines the loss as `unscaled`.

    With the scale "ce" the first batch sets it to |d CE / d logits| / |d loss / d logits|, in Euclidean norms over the
    batches of all processes of torch.distributed, each of which must call the loss. A batch in which one of the norms
    is 0 or not finite has scale 1 and leaves the setting to the next. The state of the module has the scale, nan
    before it is set.

    Args:
        scale: a number above 0, or "ce".
        ignore_index: the label of pixels to ignore; None counts all pixels.

    Raises:
        InputError: for another scale.
    """

    scale: Tensor

    def __init__(self, scale: float | str = 1.0, ignore_index: int | None = 255):
        super().__init__()
        self.ignore_index = check_ignore_index(ignore_index)
        self.calibrated = scale != CE
        self.register_buffer("scale", torch.tensor(checked_scale(scale) if self.calibrated else torch.nan))
        self.number = compiled.numbered(self)

    @abstractmethod
    def unscaled(self, logits: Tensor, labels: Tensor, *more: Any) -> Tensor:
        """The loss of a batch without the factor."""

    def scaled(self, logits: Tensor, labels: Tensor, *more: Any) -> Tensor:
        """The loss of a batch with the factor."""
        self.calibrate(logits, labels, *more)
        return self.times_scale(self.unscaled(logits, labels, *more))

    def times_scale(self, loss: Tensor) -> Tensor:
        """A loss with the factor."""
        return loss * (self.scale if self.calibrated else self.scale.nan_to_num(1.0))

    def calibrate(self, logits: Tensor, labels: Tensor, *more: Any) -> None:
        """Have the batch set the scale, unless an earlier one has."""
        if self.calibrated:
            return
        if torch.compiler.is_compiling():
            self.scale.copy_(compiled.calibrated_scale(self, logits, labels, *more))
            return
        own, other = (_square(loss, logits, labels, *more) for loss in (self.unscaled, self.cross_entropy))
        squares = torch.stack([own, other])
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(squares)
        if bool((squares.isfinite() & (squares > 0)).all()):
            self.scale.copy_((squares[1] / squares[0]).sqrt())
            self.calibrated = True

    @abstractmethod
    def cross_entropy(self, logits: Tensor, labels: Tensor, *more: Any) -> Tensor:
        """Cross-entropy of the batch."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """A state of an earlier version has no scale: it is 1."""
        state_dict.setdefault(f"{prefix}scale", torch.tensor(1.0))
        super()._load_from_state_dict(state_dict, prefix, *args)
        self.calibrated = not bool(self.scale.isnan())

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy, or what comes from a file, is another loss."""
        super().__setstate__(state)
        self.number = compiled.numbered(self)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Follow the module to its device, but keep own numbers in float32: `half()` would make another loss of it."""
        kept = {name: buffer for name, buffer in self.named_buffers(recurse=False) if buffer.device.type != "meta"}
        super()._apply(fn, recurse)
        for name, buffer in kept.items():
            setattr(self, name, buffer.to(getattr(self, name).device))
        return self


class Scaled(ScaledLoss):
    """A factor before any loss.

    Args:
        loss: a module called with (logits, labels).
        scale: a number above 0, or "ce" to have the first batch set it, see `ScaledLoss`.
        ignore_index: the label of pixels to ignore; None counts all pixels.
        task: of the loss, whose cross-entropy "ce" goes by.

    Raises:
        InputError: for another scale.

    Example:
        >>> import torch
        >>> from autosegloss.losses import LibraryLoss, Scaled
        >>> loss = Scaled(LibraryLoss(torch.nn.CrossEntropyLoss), scale=2.0)
        >>> loss(torch.zeros(1, 2, 4, 4), torch.ones(1, 4, 4, dtype=torch.long))
        tensor(1.3863)
    """

    def __init__(
        self,
        loss: nn.Module,
        scale: float | str = 1.0,
        ignore_index: int | None = 255,
        task: str | Task = "multiclass",
    ):
        super().__init__(scale, ignore_index)
        self.loss, self.task = loss, Task.resolve(task)

    def unscaled(self, logits: Tensor, labels: Tensor, *more: Any) -> Tensor:
        loss: Tensor = self.loss(logits, labels, *more)
        return loss

    def cross_entropy(self, logits: Tensor, labels: Tensor, *more: Any) -> Tensor:
        return self.task.cross_entropy(logits, labels, self.ignore_index)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.scaled(logits, labels)

    def extra_repr(self) -> str:
        return f"scale={float(self.scale):g}"


def checked_scale(scale: Any) -> float:
    """A scale; raises InputError unless it is a finite number above 0."""
    if not is_number(scale) or not 0 < scale < torch.inf:
        raise InputError(f"scale: expected a number above 0, or '{CE}', got {scale!r}")
    return float(scale)


def _square(loss: Callable[..., Tensor], logits: Tensor, *more: Any) -> Tensor:
    """The squared norm of the gradient of a loss by the logits."""
    with torch.inference_mode(False), torch.enable_grad():
        probe = logits.detach().to(compute_dtype(logits.dtype), copy=True).requires_grad_()
        gradient = torch.autograd.grad(loss(probe, *more), probe)[0]
    return gradient.float().square().sum()
