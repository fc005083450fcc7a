"""A MetricCollection ties metrics whose states are equal after the first batch: ours only if they always are."""

import copy
import pickle
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch.testing import assert_close
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassJaccardIndex

from autosegloss.formulas import BoundaryIoU, Formula, MeanIoU, ratio, weighted_sum
from autosegloss.metrics import BoundaryF1, FormulaMetric, FrequencyWeightedIoU, GlobalAccuracy, MeanAccuracy
from autosegloss.metrics import BoundaryIoU as BoundaryIoUMetric
from autosegloss.metrics import MeanIoU as MeanIoUMetric

FIRST = torch.zeros(1, 12, 12, dtype=torch.long), torch.zeros(1, 12, 12, dtype=torch.long)


def second():
    """A square and its prediction, which is shifted by two pixels, beside ignored pixels."""
    labels, preds = torch.zeros(2, 1, 12, 12, dtype=torch.long)
    labels[:, 2:7, 2:7], preds[:, 2:7, 4:9], labels[:, 10:] = 1, 1, 255
    return preds, labels


@dataclass(frozen=True)
class Share(Formula):
    """The share of the class predictions that are right, with an option that only the sums know."""

    operations: ClassVar[tuple[str, ...]] = ("and",)
    size: int = 1

    @property
    def name(self):
        return "share"

    def statistics(self, logic, pred, true, valid):
        near = true.dilate(self.size)
        return {"hit": logic.and_("and", pred, near).total(valid), "true": true.total(valid)}

    def class_scores(self, sums):
        return ratio(sums["hit"].minimum(sums["true"]), sums["true"])


class Plain(Formula):
    """A formula that is no dataclass: its options are attributes."""

    operations = ("and",)
    name = property(lambda self: "plain")

    def __init__(self, size):
        self.size = size

    statistics = Share.statistics
    class_scores = Share.class_scores


APART = {
    "an option": lambda: (BoundaryF1(2, tolerance=1), BoundaryF1(2, tolerance=3)),
    "a formula of an equal form": lambda: (MeanIoUMetric(2), BoundaryIoUMetric(2, width=1)),
    "the ignored label": lambda: (MeanIoUMetric(2, ignore_index=255), MeanIoUMetric(2, ignore_index=1)),
    "an option of a formula of one's own": lambda: (FormulaMetric(Share(1), 2), FormulaMetric(Share(5), 2)),
    "an attribute": lambda: (FormulaMetric(Plain(1), 2), FormulaMetric(Plain(5), 2)),
    "the option of a term": lambda: tuple(
        FormulaMetric(weighted_sum([MeanIoU(), BoundaryIoU(width)]), 2) for width in (1, 4)
    ),
}
TOGETHER = {
    "the score": lambda: (MeanIoUMetric(2), FrequencyWeightedIoU(2)),
    "its parent's score": lambda: (MeanAccuracy(2), GlobalAccuracy(2)),
    "scores of the classes": lambda: (MeanIoUMetric(2), MeanIoUMetric(2, per_class=True)),
}


def data(metrics):
    """Two batches: in the first all metrics have equal sums. Labels that another metric ignores are kept out."""
    preds, labels = second()
    if 1 in (metric.ignore_index for metric in metrics):
        labels = labels.where(labels != 255, 0)
    return [FIRST, (preds, labels)]


def expected(metrics, batches):
    alone = copy.deepcopy(metrics)
    for metric in alone:
        for batch in batches:
            metric.update(*batch)
    return [metric.compute() for metric in alone]


@pytest.mark.parametrize("make", APART.values(), ids=APART)
@pytest.mark.parametrize("use", ["update", "forward"])
def test_metrics_that_differ_in_their_sums_stay_apart(make, use):
    pair = make()
    right = expected(pair, data(pair))
    together = MetricCollection(dict(zip("ab", pair, strict=True)))
    for batch in data(pair):
        together.update(*batch) if use == "update" else together(*batch)
    assert_close(list(together.compute().values()), right, equal_nan=True)
    assert not torch.equal(*right)
    assert len(together.compute_groups) == 2


@pytest.mark.parametrize("make", TOGETHER.values(), ids=TOGETHER)
def test_metrics_that_differ_in_their_score_share_their_sums(make):
    pair = make()
    right = expected(pair, data(pair))
    together = MetricCollection(dict(zip("ab", pair, strict=True)))
    for batch in data(pair):
        together.update(*batch)
    assert_close(list(together.compute().values()), right, equal_nan=True)
    assert len(together.compute_groups) == 1


def test_another_number_of_classes_stays_apart():
    pair = MeanIoUMetric(2), MeanIoUMetric(3)
    together = MetricCollection(dict(zip("ab", pair, strict=True)))
    together.update(*FIRST)
    assert len(together.compute_groups) == 2


def test_nested_and_cloned_collections_beside_metrics_of_others():
    inner = MetricCollection({"a": BoundaryF1(2, tolerance=1), "b": BoundaryF1(2, tolerance=3)}, prefix="in_")
    outer = MetricCollection([inner, MulticlassJaccardIndex(2, ignore_index=255), MeanIoUMetric(2)])
    for together in (outer, outer.clone(), pickle.loads(pickle.dumps(outer))):
        for batch in (FIRST, second()):
            together.update(*batch)
        values = together.compute()
        right = expected((BoundaryF1(2, tolerance=1), BoundaryF1(2, tolerance=3), MeanIoUMetric(2)), [FIRST, second()])
        assert_close([values["in_a"], values["in_b"], values["MeanIoU"]], right)
        assert_close(values["MulticlassJaccardIndex"], values["MeanIoU"])
        together.reset()


def test_the_mark_of_a_metric_holds_nothing_and_is_the_same_in_every_process():
    one, other = BoundaryF1(2, tolerance=1), pickle.loads(pickle.dumps(BoundaryF1(2, tolerance=1)))
    (mark,) = set(one.metric_state) - {"matched", "pred", "found", "true"}
    assert one.metric_state[mark].numel() == 0
    assert one.metric_state.keys() == other.metric_state.keys()
    assert not one.state_dict()


def test_repr_says_what_a_metric_is():
    text = repr(FormulaMetric(BoundaryIoU(width=6), 3, ignore_index=None))
    assert text == "FormulaMetric(BoundaryIoU(width=6), num_classes=3, ignore_index=None)"
    assert "BoundaryF1(tolerance=3), num_classes=2, ignore_index=255" in repr(
        MetricCollection([BoundaryF1(2, tolerance=3)])
    )
