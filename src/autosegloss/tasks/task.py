"""The contract of a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from autosegloss.algebra.activations import Activation
from autosegloss.algebra.maps import Map
from autosegloss.algebra.truth import Truth
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

    def left_out(self, ignore_index: int | None) -> int | None:
        """The class that is in no average, as its id is the label to ignore; None if labels are no ids."""
        return None
