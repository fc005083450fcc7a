"""Losses and metrics as functions of one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from autosegloss.curves import CurveFamily
from autosegloss.formula_metric import FormulaMetric
from autosegloss.formulas import Formula
from autosegloss.loss import SurrogateLoss


def surrogate_loss(
    logits: Tensor,
    labels: Tensor,
    formula: str | Formula,
    theta: Sequence[float] | Tensor | Mapping[str, Any] | None = None,
    curve: str | CurveFamily = "bezier",
    valid: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """The loss of a batch, 1 - score, read softly (eq. 7-9); see `SurrogateLoss`, which is faster if called often.

    Args:
        logits: (N, C, H, W) or (N, C, D, H, W), floating point.
        labels: of the task.
        formula: a metric by name ("miou") or a formula.
        theta: (D,) numbers, of Bezier curves in [0, 1], or by operation name; None is the identity. A tensor that
            requires a gradient gets one, and the loss can be differentiated twice; it is slower, see
            `SurrogateLoss.dense`.
        curve: a curve family by name or as an object.
        valid: the pixels that count, bool, (N, H, W) or (N, 1, H, W), of a multilabel task also (N, C, H, W); None
            counts all.
        options: of `SurrogateLoss`, such as `task="binary"` or `aggregate="image"`.

    Returns:
        A scalar in [0, scale], at least float32.

    Raises:
        InputError: for options, logits or labels of another form.

    Example:
        >>> import torch
        >>> from autosegloss.functional import surrogate_loss
        >>> surrogate_loss(torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4), "miou", task="binary")
        tensor(0.5000)
    """
    loss = SurrogateLoss(formula, {}, curve, **options)
    loss.bend(theta)
    return loss(logits, labels, valid)


def score(
    preds: Tensor,
    labels: Tensor,
    formula: str | Formula,
    num_classes: int | None = None,
    valid: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """The score of a batch, read exactly: the evaluation metric; see `FormulaMetric` for a data set.

    Args:
        preds: logits, floating point, or predicted labels.
        labels: of the task.
        formula: a metric by name ("miou") or a formula.
        num_classes: C; a binary task has one class.
        valid: the pixels that count, bool, (N, H, W) or (N, 1, H, W), of a multilabel task also (N, C, H, W); None
            counts all.
        options: of `FormulaMetric`, such as `task="binary"` or `per_class=True`.

    Returns:
        A scalar in [0, 1], or the scores (C,) of the classes; nan where nothing is defined.

    Raises:
        InputError: for options, predictions or labels of another form.

    Example:
        >>> import torch
        >>> from autosegloss.functional import score
        >>> score(torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 0, 1]]]), "miou", num_classes=2)
        tensor(0.5000)
    """
    metric = FormulaMetric(formula, num_classes, **options)
    metric.update(preds, labels, valid)
    return metric.compute()
