"""The confusion matrix of torchmetrics, of what our metrics take."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix

from autosegloss.algebra import LabelMap, Map
from autosegloss.algebra.checks import check_ignore_index
from autosegloss.errors import InputError
from autosegloss.tasks import Task


class ConfusionMatrix(MulticlassConfusionMatrix):
    """Pixels by true label (row) and predicted label (column), summed over batches and processes.

    It takes logits and labels as `FormulaMetric` does; `compute`, `plot` and the other keywords are those of
    torchmetrics. A binary task has two labels. Pixels of labels that are ignored are in no row.

    Args:
        num_classes: C; of a binary task it can be left out.
        ignore_index: label of pixels that count for nothing; None: all count.
        task: "multiclass" or "binary", or an object of `autosegloss.tasks` with a threshold.
        from_logits: False takes probabilities in the place of logits.
        normalize: None counts pixels, "true", "pred" and "all" divide by the sums of rows, of columns, of all.

    Raises:
        InputError: for a multilabel task, whose classes do not exclude each other.

    Example:
        >>> import torch
        >>> from autosegloss.metrics import ConfusionMatrix
        >>> ConfusionMatrix(num_classes=2)(torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 0, 255]]]))
        tensor([[1, 1],
                [0, 0]])
    """

    def __init__(
        self,
        num_classes: int | None = None,
        ignore_index: int | None = 255,
        task: str | Task = "multiclass",
        from_logits: bool = True,
        normalize: Any = None,
        **kwargs: Any,
    ):
        task = Task.resolve(task)
        if not task.exclusive:
            raise InputError(
                f"confusion: classes of task={task.name} do not exclude each other, so that none is taken for another: "
                "leave it out; torchmetrics.classification.MultilabelConfusionMatrix counts each class by itself"
            )
        channels = task.num_classes(num_classes)
        super().__init__(max(2, channels), normalize=normalize, validate_args=False, **kwargs)
        self.task, self.channels, self.from_logits = task, channels, from_logits
        self.ignored = check_ignore_index(ignore_index)
        self._kind = f"task={task}, num_classes={channels}, from_logits={from_logits}, ignore_index={ignore_index}"
        mark = sha256(self._kind.encode()).hexdigest()[:16]  # a MetricCollection ties equal states
        self.add_state(f"pairs_of_{mark}", torch.empty(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, labels: Tensor, valid: Tensor | None = None) -> None:
        """Add a batch; arguments and errors are those of `FormulaMetric.update`."""
        pred, truth = self.task.judged(preds, labels, self.channels, self.ignored, valid, self.from_logits)
        counts = truth.valid[:, 0]
        super().update(_labels(pred)[counts], _labels(truth.true)[counts])

    def merge_state(self, incoming_state: dict[str, Any] | Metric) -> None:
        """Add the pixels of another matrix; raises InputError unless it counts the same."""
        if isinstance(incoming_state, Metric) and getattr(incoming_state, "_kind", None) != self._kind:
            theirs = getattr(incoming_state, "_kind", "") if isinstance(incoming_state, ConfusionMatrix) else ""
            found = f"{type(incoming_state).__name__}({theirs})"
            raise InputError(f"merge_state: expected a ConfusionMatrix({self._kind}), got {found}")
        super().merge_state(incoming_state)


def _labels(m: Map) -> Tensor:
    """The labels (N, *S) of a crisp map."""
    return m.labels.long() if isinstance(m, LabelMap) else m.dense()[:, 0].long()
