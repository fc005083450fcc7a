"""The sums of every image that a run judges, which its scores and their intervals follow from."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as dist
from torchmetrics import MetricCollection

from autosegloss.formulas.exact import exact_sums
from autosegloss.metrics import FormulaMetric
from autosegloss.ranking import Evidence

Row = dict[str, dict[str, Tensor]]
"""The sums of one image: {metric: {statistic: int64 (C,)}}."""


class ImageSums:
    """Collects the sums of images, one by one, in the order in which they are judged.

    Args:
        metrics: Members are FormulaMetrics that share task, num_classes and ignore_index.
    """

    def __init__(self, metrics: MetricCollection):
        members = [metric for metric in metrics.values(copy_state=False) if isinstance(metric, FormulaMetric)]
        self.task, self.num_classes, self.ignore_index = (
            members[0].task,
            members[0].num_classes,
            members[0].ignore_index,
        )
        self._formulas = {metric.formula.name: metric.formula for metric in members}
        self._rows: list[Row] = []

    def update(self, predicted: Tensor, labels: Tensor) -> None:
        """Add predicted labels and true ones, integers (N, H, W), or (N, C, H, W) if they do not exclude each other."""
        for one, own in zip(predicted.split(1), labels.split(1), strict=True):
            pred, truth = self.task.judged(one, own, self.num_classes, self.ignore_index)
            distinct = {formula.summed_as(): formula for formula in self._formulas.values()}
            sums = {
                key: _on_host(exact_sums(formula, pred, truth.true, truth.valid)) for key, formula in distinct.items()
            }
            self._rows.append({name: sums[formula.summed_as()] for name, formula in self._formulas.items()})

    def evidence(self) -> Evidence:
        """The sums of the images of all processes, those of the first process first; each process must call it."""
        rows = [row for part in _gathered(self._rows) for row in part]
        stacked = {
            metric: {name: torch.stack([row[metric][name] for row in rows]) for name in sums}
            for metric, sums in rows[0].items()
        }
        return Evidence(stacked, self.task.left_out(self.ignore_index))


def _on_host(sums: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in sums.items()}


def _gathered(rows: list[Row]) -> list[list[Row]]:
    if not (dist.is_available() and dist.is_initialized()):
        return [rows]
    parts: list[list[Row]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(parts, rows)
    return parts
