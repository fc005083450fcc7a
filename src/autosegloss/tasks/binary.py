"""A foreground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from autosegloss.algebra import remedies
from autosegloss.algebra.checks import check_tensors
from autosegloss.errors import InputError, is_number
from autosegloss.tasks.multilabel import Multilabel


@dataclass(frozen=True)
class Binary(Multilabel):
    """A single foreground, which alone is scored, as people report it.

    Logits (N, 1, *S) or (N, *S), labels likewise: 0 and 1, bool, or soft in [0, 1]. Four axes are (N, 1, H, W) if the
    second has length 1, otherwise those of volumes (N, D, H, W), D > 2.

    Args:
        threshold: of the probability above which a pixel is predicted as foreground.

    Raises:
        InputError: for a threshold outside of (0, 1).
    """

    name: ClassVar[str] = "binary"
    exclusive: ClassVar[bool] = True
    several: ClassVar[str] = ""
    usual_classes: ClassVar[tuple[str, ...]] = ("background", "foreground")

    def __post_init__(self) -> None:
        if not is_number(self.threshold):
            raise InputError(f"threshold: expected a number in (0, 1), got {self.threshold!r}")
        super().__post_init__()

    def num_classes(self, given: int | None) -> int:
        if given not in (None, 1):
            raise InputError(f'num_classes: task="binary" has a single class, got {given!r}: leave it out')
        return 1

    def channels(self, labels: int) -> int:
        if labels != 2:
            raise InputError(
                f"task=binary takes masks of two classes, background and one foreground, got {labels} classes: say "
                "which mask values are foreground, as 'data.source.labels={0: 0, 1: 1, 2: 1}', or set task=multiclass"
            )
        return 1

    def predicted(self, logits: Tensor) -> Tensor:
        return super().predicted(logits).squeeze(1)

    @property
    def decision(self) -> str:
        return f"the foreground is predicted where their sigmoid is above {self._thresholds[0]:g}"

    def aligned(self, what: str, values: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        check_tensors(values, labels)
        whole = _with_channel(values)
        same = labels if labels.shape == whole.shape or labels.ndim == 0 else labels.unsqueeze(1)
        if whole.ndim not in (4, 5) or whole.shape[1] != 1 or same.shape != whole.shape or _two_channels(values):
            raise InputError(
                f"expected {what} (N, 1, H, W) or (N, H, W), for volumes with D before H, and labels likewise, got "
                f"{what} {tuple(values.shape)} and labels {tuple(labels.shape)}{_remedy(what, values, labels)}"
            )
        return whole, same


def _with_channel(values: Tensor) -> Tensor:
    single = values.ndim >= 4 and values.shape[1] == 1
    return values if single or values.ndim in (0, 5) else values.unsqueeze(1)


def _two_channels(values: Tensor) -> bool:
    return values.ndim >= 4 and values.shape[1] == 2


def _remedy(what: str, values: Tensor, labels: Tensor) -> str:
    """How channels become one; a volume of two slices without a channel is not told from two channels."""
    if _two_channels(values):
        return (
            ": of two channels make the logit of the foreground by logits[:, 1] - logits[:, 0], with labels of 0 and "
            "1 (N, H, W); a volume of two slices needs its channel, (N, 1, 2, H, W)"
        )
    if _two_channels(labels) and labels.shape[2:] == values.shape[2:]:
        return ": of one-hot labels take the foreground, as labels[:, 1:]"
    if values.ndim >= 4 and values.shape[-1] == 1 and values.shape[:-1] == labels.shape:
        return f": channels come after the batch axis, as after {what}.movedim(-1, 1)"
    if values.ndim >= 4 and values.shape[1] > 2:
        return ': several channels are those of task="multilabel" or "multiclass"'
    if values.ndim == 2 and values.shape == labels.shape:
        return f": a single image needs a batch axis, as {what}[None] and labels[None]"
    if values.ndim == 3 and labels.shape == values.shape[1:]:
        return ": a single image needs a batch axis, as labels[None]"
    return remedies.size(what, _with_channel(values), labels)
