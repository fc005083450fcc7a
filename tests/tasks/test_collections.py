"""Metrics of tasks and averages in a collection of torchmetrics."""

import copy

import pytest
import torch
from helpers.members import METRICS, slow
from helpers.task_scenes import AGGREGATES, TASKS, every_task, scene
from torch.testing import assert_close
from torchmetrics import MetricCollection

from autosegloss import segmentation_metrics
from autosegloss.functional import score
from autosegloss.metrics import FormulaMetric, MeanIoU
from autosegloss.tasks.binary import Binary

MULTICLASS = TASKS["multiclass"]


APART = {
    "tasks": lambda: (FormulaMetric("miou", 1, task="multilabel"), FormulaMetric("miou", task="binary")),
    "thresholds": lambda: (FormulaMetric("miou", task=Binary(0.2)), FormulaMetric("miou", task=Binary(0.8))),
    "aggregates": lambda: (
        FormulaMetric("miou", task="binary"),
        FormulaMetric("miou", task="binary", aggregate="image"),
    ),
    "probabilities": lambda: (
        FormulaMetric("miou", task="binary"),
        FormulaMetric("miou", task="binary", from_logits=False),
    ),
}
TOGETHER = {
    "classes": lambda: (MeanIoU(3, classes=[1]), MeanIoU(3, classes=[2])),
    "weights": lambda: (MeanIoU(3), MeanIoU(3, class_weights=[1, 2, 3])),
    "absent": lambda: (MeanIoU(3), MeanIoU(3, absent="one")),
}


@pytest.mark.parametrize("make", APART.values(), ids=APART)
def test_collections_keep_metrics_of_other_sums_apart(make):
    pair = make()
    one = scene(TASKS["binary"], (3, 6, 7))
    probs = one.logits.sigmoid()
    right = [copy.deepcopy(metric) for metric in pair]
    together = MetricCollection(dict(zip("ab", pair, strict=True)))
    for labels in (torch.zeros_like(one.labels), one.labels):
        for metric in (together, *right):
            metric.update(probs, labels)
    assert_close(list(together.compute().values()), [metric.compute() for metric in right])
    assert len(together.compute_groups) == 2


@pytest.mark.parametrize("make", TOGETHER.values(), ids=TOGETHER)
def test_collections_share_the_sums_of_metrics_of_another_average(make):
    pair, one = make(), scene(MULTICLASS)
    right = [copy.deepcopy(metric) for metric in pair]
    together = MetricCollection(dict(zip("ab", pair, strict=True)))
    for metric in (together, *right):
        metric.update(one.preds, one.labels)
        metric.update(one.preds, one.labels)
    assert_close(list(together.compute().values()), [metric.compute() for metric in right])
    assert len(together.compute_groups) == 1


@every_task
@pytest.mark.parametrize("aggregate", ["image", *slow([(name,) for name in AGGREGATES if name != "image"])])
def test_the_six_metrics_together_are_those_alone(task, aggregate):
    one = scene(task)
    options = {"task": task, "aggregate": aggregate, "metrics": [*METRICS.values()]}
    together = segmentation_metrics(one.num_classes, **options)
    for part in (slice(0, 2), slice(2, 3)):
        together.update(one.preds[part], one.labels[part])
    for name, value in together.compute().items():
        own = score(one.preds, one.labels, METRICS[name], one.num_classes, task=task, aggregate=aggregate)
        assert_close(value, own)
