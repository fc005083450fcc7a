"""The exact reading of the paper's formulas: metrics of torchmetrics by their names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from inspect import signature
from typing import Any, ClassVar

from torchmetrics import Metric, MetricCollection

from autosegloss import formulas
from autosegloss.confusion_matrix import ConfusionMatrix
from autosegloss.errors import InputError
from autosegloss.formula_metric import FormulaMetric
from autosegloss.formulas import PAPER, Formula, resolve

__all__ = [
    "BoundaryF1",
    "BoundaryIoU",
    "ConfusionMatrix",
    "FormulaMetric",
    "FrequencyWeightedIoU",
    "GlobalAccuracy",
    "MeanAccuracy",
    "MeanIoU",
    "segmentation_metrics",
]


class _PaperMetric(FormulaMetric):
    """A metric with the options of its formula; all other keywords are those of torchmetrics."""

    formula_class: ClassVar[type[Formula]]

    def __init__(
        self, num_classes: int | None = None, ignore_index: int | None = 255, per_class: bool = False, **options: Any
    ):
        mine = {key: options.pop(key) for key in self.formula_class.__dataclass_fields__ if key in options}
        super().__init__(self.formula_class(**mine), num_classes, ignore_index, per_class, **options)


class GlobalAccuracy(_PaperMetric):
    """Share of valid pixels with the right class: gAcc = sum_c |pred_c AND true_c| / sum_c |true_c| (eq. 1).

    Example:
        >>> import torch
        >>> from autosegloss.metrics import GlobalAccuracy
        >>> GlobalAccuracy(num_classes=2)(torch.tensor([[[0, 1, 1, 1]]]), torch.tensor([[[0, 0, 1, 1]]]))
        tensor(0.7500)
    """

    formula_class = formulas.GlobalAccuracy


class MeanAccuracy(_PaperMetric):
    """Class mean of recall: mAcc = 1/C sum_c |pred_c AND true_c| / |true_c| (eq. 2).

    Example:
        >>> import torch
        >>> from autosegloss.metrics import MeanAccuracy
        >>> MeanAccuracy(num_classes=2)(torch.tensor([[[0, 1, 1, 1]]]), torch.tensor([[[0, 0, 1, 1]]]))
        tensor(0.7500)
    """

    formula_class = formulas.MeanAccuracy


class MeanIoU(_PaperMetric):
    """Class mean of IoU over the data set: mIoU = 1/C sum_c |pred_c AND true_c| / |pred_c OR true_c| (eq. 3).

    Example:
        >>> import torch
        >>> from autosegloss.metrics import MeanIoU
        >>> MeanIoU(num_classes=2)(torch.tensor([[[0, 1, 1, 1]]]), torch.tensor([[[0, 0, 1, 1]]]))
        tensor(0.5833)
    """

    formula_class = formulas.MeanIoU


class FrequencyWeightedIoU(_PaperMetric):
    """IoU weighted by class frequency: FWIoU = sum_c |true_c| IoU_c / sum_c |true_c| (eq. 4).

    Example:
        >>> import torch
        >>> from autosegloss.metrics import FrequencyWeightedIoU
        >>> FrequencyWeightedIoU(num_classes=2)(torch.tensor([[[0, 1, 1, 1]]]), torch.tensor([[[0, 0, 1, 1]]]))
        tensor(0.5833)
    """

    formula_class = formulas.FrequencyWeightedIoU


class BoundaryIoU(_PaperMetric):
    """mIoU within a band around the boundaries of the ground truth (eq. 5); other arguments as `FormulaMetric`.

    Args:
        width: of the band: whole pixels, or below 1 a fraction of the diagonal, that of padded images if padded.

    Example:
        >>> import torch
        >>> from autosegloss.metrics import BoundaryIoU
        >>> BoundaryIoU(num_classes=2, width=1)(torch.tensor([[[0, 1, 1, 1]]]), torch.tensor([[[0, 0, 1, 1]]]))
        tensor(0.2500)
    """

    formula_class = formulas.BoundaryIoU


class BoundaryF1(_PaperMetric):
    """Class mean of the F1 of boundaries within a tolerance (eq. 6); other arguments as `FormulaMetric`.

    Args:
        tolerance: whole pixels, or below 1 a fraction of the diagonal, that of padded images if padded.

    Example:
        >>> import torch
        >>> from autosegloss.metrics import BoundaryF1
        >>> BoundaryF1(num_classes=2, tolerance=1)(torch.tensor([[[0, 1, 1, 1]]]), torch.tensor([[[0, 0, 1, 1]]]))
        tensor(1.)
    """

    formula_class = formulas.BoundaryF1


def segmentation_metrics(
    num_classes: int | None = None,
    ignore_index: int | None = 255,
    metrics: Sequence[str | Formula] = PAPER,
    per_class: bool = False,
    confusion: bool = False,
    **options: Any,
) -> MetricCollection:
    """The six metrics of the paper, or others, by name, updated together.

    Args:
        num_classes: C.
        ignore_index: label of pixels that count for nothing; None counts all pixels.
        metrics: metrics by name or as formulas.
        per_class: each metric returns its class scores (C,), nan for undefined classes, instead of their average.
        confusion: a `ConfusionMatrix` (C, C) comes with them, by the name "confusion".
        options: of `FormulaMetric`, such as `task`, `classes` and `aggregate`, for all of them.

    Returns:
        A torchmetrics.MetricCollection; metrics with the same sums compute them once.

    Raises:
        InputError: for an unknown metric, or two of one name.

    Example:
        >>> import torch
        >>> from autosegloss import segmentation_metrics
        >>> metrics = segmentation_metrics(num_classes=2, metrics=["gacc", "miou"])
        >>> metrics.update(torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 0, 1]]]))
        >>> {name: round(float(value), 3) for name, value in metrics.compute().items()}
        {'gacc': 0.667, 'miou': 0.5}
    """
    members = [resolve(metric) for metric in metrics]
    if twice := [name for name, count in Counter(formula.name for formula in members).items() if count > 1]:
        raise InputError(
            f"metrics: two are named {', '.join(twice)}: keep one of them, or make a FormulaMetric of each"
        )
    groups = defaultdict(list)
    for formula in members:  # formulas that keep the same sums count them once
        groups[formula.summed_as()].append(formula.name)
    together: dict[str, Metric | MetricCollection] = {
        formula.name: FormulaMetric(formula, num_classes, ignore_index, per_class, **options) for formula in members
    }
    if confusion:
        groups["confusion"].append("confusion")
        averaging = signature(FormulaMetric).parameters.keys() - signature(ConfusionMatrix).parameters.keys()
        of_pairs = {name: value for name, value in options.items() if name not in averaging}
        together["confusion"] = ConfusionMatrix(num_classes, ignore_index, **of_pairs)
    return MetricCollection(together, compute_groups=list(groups.values()))
