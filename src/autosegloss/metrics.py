"""The exact reading of a formula: torchmetrics metrics whose states are the formula's statistics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from autosegloss import formulas
from autosegloss.algebra import LabelMap
from autosegloss.algebra.checks import check_ignore_index, check_num_classes
from autosegloss.algebra.inputs import label_map, predicted_classes, predicted_map
from autosegloss.errors import InputError
from autosegloss.formulas import PAPER, Formula, resolve
from autosegloss.formulas.exact import exact_class_scores, exact_score, exact_sums


class FormulaMetric(Metric):
    """Any formula as an evaluation metric over a data set: exact integer counts, summed over batches and processes.

    `compute` returns a value in [0, 1], nan if no class is defined; with `per_class` the class scores (C,), nan for
    undefined classes. The keyword arguments are those of `torchmetrics.Metric`: of several processes each must call
    `compute`, which waits for the others unless `sync_on_compute=False`.

    Args:
        formula: a metric by name ("miou") or a formula, e.g. `BoundaryIoU(width=6)`.
        num_classes: C.
        ignore_index: label of pixels that count for nothing, and of a class that is in no average; None: all count.
        per_class: return the class scores instead of their average.

    Raises:
        InputError: for other options, or a formula that does not keep to its contract.

    Example:
        >>> import torch
        >>> from autosegloss.metrics import FormulaMetric
        >>> metric = FormulaMetric("miou", num_classes=2)
        >>> metric.update(torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 0, 1]]]))
        >>> metric.compute()
        tensor(0.5000)
    """

    is_differentiable, higher_is_better, full_state_update = False, True, False
    plot_lower_bound, plot_upper_bound = 0.0, 1.0

    def __init__(
        self,
        formula: str | Formula,
        num_classes: int,
        ignore_index: int | None = 255,
        per_class: bool = False,
        **kwargs: Any,
    ):
        formula = resolve(formula)
        try:
            super().__init__(**kwargs)
        except ValueError as error:
            known = ", ".join(formula.options()) or "(none)"
            raise InputError(
                f"{type(self).__name__}: {error}; '{formula.name}' has the options {known}, and torchmetrics its own"
            ) from None
        self.formula: Formula = formula
        self.num_classes, self.per_class = check_num_classes(num_classes), per_class
        self.ignore_index = check_ignore_index(ignore_index)
        ignored = label_map(torch.zeros(1, 32, 32, dtype=torch.int32), self.num_classes, ignore_index=0)
        states = self._sums(ignored, ignored)  # the formula itself names its states
        self._statistics = tuple(states)
        for name, value in {**states, self._mark(): torch.empty(0, dtype=torch.int64)}.items():
            if hasattr(self, name):
                raise InputError(f"metric '{formula.name}': torchmetrics uses the name '{name}': rename the statistic")
            self.add_state(name, value, dist_reduce_fx="sum")

    def _mark(self) -> str:
        """The name of an empty state: a MetricCollection shares states of equal names and equal values at first."""
        settings = f"{self.formula.summed_as()} {self.num_classes} {self.ignore_index}"
        return f"sums_of_{sha256(settings.encode()).hexdigest()[:16]}"

    def _sums(self, pred: LabelMap, true: LabelMap) -> dict[str, Tensor]:
        return exact_sums(self.formula, pred, true)

    def update(self, preds: Tensor, labels: Tensor) -> None:
        """Add a batch.

        Args:
            preds: logits (N, C, *S), floating point, or predicted classes (N, *S), integers.
            labels: (N, *S), integers in [0, C) or `ignore_index`.

        Raises:
            InputError: for predictions or labels of another form.
        """
        preds = predicted_classes(preds, labels, self.num_classes)
        true = label_map(labels, self.num_classes, self.ignore_index, dtype=torch.int32)
        for name, value in self._sums(predicted_map(preds, true), true).items():
            setattr(self, name, getattr(self, name) + value)

    def compute(self) -> Tensor:
        sums = {name: getattr(self, name) for name in self._statistics}
        if self.per_class:
            return exact_class_scores(self.formula, sums, self.num_classes, self.ignore_index).float()
        return exact_score(self.formula, sums, self.ignore_index).float()

    def extra_repr(self) -> str:
        return f"{self.formula}, num_classes={self.num_classes}, ignore_index={self.ignore_index}"

    def plot(self, val: Tensor | Sequence[Tensor] | None = None, ax: Any = None) -> Any:
        """Figure and axes of matplotlib with a value, or with several in their order; None computes it."""
        return self._plot(val, ax)


class _PaperMetric(FormulaMetric):
    """A metric with the options of its formula; all other keywords are those of torchmetrics."""

    formula_class: ClassVar[type[Formula]]

    def __init__(self, num_classes: int, ignore_index: int | None = 255, per_class: bool = False, **options: Any):
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
    num_classes: int,
    ignore_index: int | None = 255,
    metrics: Sequence[str | Formula] = PAPER,
    per_class: bool = False,
) -> MetricCollection:
    """The six metrics of the paper, or others, by name, updated together.

    Args:
        num_classes: C.
        ignore_index: label of pixels that count for nothing; None counts all pixels.
        metrics: metrics by name or as formulas.
        per_class: each metric returns its class scores (C,), nan for undefined classes, instead of their average.

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
    return MetricCollection(
        {formula.name: FormulaMetric(formula, num_classes, ignore_index, per_class) for formula in members},
        compute_groups=list(groups.values()),
    )
