"""The contract of a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from autosegloss.algebra.activations import Activation
from autosegloss.algebra.maps import Map
from autosegloss.algebra.truth import Truth
from autosegloss.errors import InputError
from autosegloss.registry import Registered


class Task(Registered, ABC):
    """What logits and labels mean; formulas know the maps alone that a task makes of them.

    Tasks are frozen dataclasses with a `name`. Throughout, `valid` is a mask of the pixels that count, bool, (N, *S) or
    (N, 1, *S), or (N, C, *S) for classes that do not exclude each other; None counts all. Pixels with the label
    `ignore_index` do not count either.

    Example:
        >>> from autosegloss import SurrogateLoss
        >>> from autosegloss.tasks import Task
        >>> SurrogateLoss("miou", task=Task.named("binary", threshold=0.3)).task.threshold
        0.3
    """

    kind: ClassVar[str] = "task"
    activation: ClassVar[Activation]
    """Makes probabilities of the logits."""
    exclusive: ClassVar[bool] = True
    """Whether a pixel has one label, as that of a mask."""
    usual_classes: ClassVar[tuple[str, ...]] = ()
    """The labels of masks that no table names."""

    @abstractmethod
    def batch(
        self, logits: Tensor, labels: Tensor, ignore_index: int | None, valid: Tensor | None = None
    ) -> tuple[Tensor, Truth]:
        """Logits as (N, C, *S), and the truth of the labels; raises InputError for tensors of another form."""

    @abstractmethod
    def judged(
        self,
        preds: Tensor,
        labels: Tensor,
        num_classes: int,
        ignore_index: int | None,
        valid: Tensor | None = None,
        from_logits: bool = True,
    ) -> tuple[Map, Truth]:
        """The crisp map of predictions and the truth; raises InputError for tensors of another form.

        preds: logits, probabilities if not `from_logits`, or predicted labels of an integer type or bool.
        """

    @abstractmethod
    def num_classes(self, given: int | None) -> int:
        """The number of classes of a metric, checked; raises InputError for one that the task does not have."""

    @abstractmethod
    def channels(self, labels: int) -> int:
        """The channels of the logits, which are scored, of data with so many classes; InputError if they do not fit."""

    @abstractmethod
    def predicted(self, logits: Tensor) -> Tensor:
        """The labels int64 of logits (N, C, *S): (N, *S) if they are exclusive, or else (N, C, *S) of 0 and 1."""

    @property
    @abstractmethod
    def decision(self) -> str:
        """How labels follow from logits, in words."""

    def crisp(self, logits: Tensor, labels: Tensor, ignore_index: int | None) -> tuple[Tensor, Truth]:
        """As `batch`, of labels that are not soft; raises InputError for those."""
        logits, truth = self.batch(logits, labels, ignore_index)
        if not truth.true.crisp:
            raise InputError("this loss takes labels of 0 and 1, got soft ones: make them crisp by (labels > 0.5)")
        return logits, truth

    def as_classes(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, K, *S) of labels that exclude each other, and labels (N, *S)."""
        return logits, labels

    def cross_entropy(self, logits: Tensor, labels: Tensor, ignore_index: int | None) -> Tensor:
        """The mean cross-entropy over what counts."""
        logits, truth = self.crisp(logits, labels, ignore_index)
        return self.activation.cross_entropy(logits, truth.true.dense(), truth.valid)

    def scored(self, class_names: Sequence[str]) -> tuple[str, ...]:
        """The names of the classes that are scored, of those of the data; raises InputError if they do not fit."""
        return tuple(class_names)[-self.channels(len(class_names)) :]

    def background(self, class_names: Sequence[str] | None) -> int | None:
        """The class that classes="foreground" leaves out; None if the background is no class of the task.

        Raises InputError if no class has its name.
        """
        return None

    def left_out(self, ignore_index: int | None) -> int | None:
        """The class that is in no average, as its id is the label to ignore; None if labels are no ids."""
        return None
