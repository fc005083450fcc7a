"""A formula that does not keep to the contract gets one clear error, in the loss and in the metric alike."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from helpers import laws

from autosegloss import InputError, SurrogateLoss, ThetaCard
from autosegloss.algebra import DenseMap
from autosegloss.formulas import Formula, FrequencyWeightedIoU, MeanIoU, ratio, weighted_sum
from autosegloss.metrics import FormulaMetric, segmentation_metrics


@dataclass(frozen=True)
class Recall(Formula):
    """Recall, with room for a mistake; it sets no name in its own body, so that no registry knows it."""

    operations: ClassVar[tuple[str, ...]] = ("and",)

    @property
    def name(self):
        return "recall"

    def hit(self, logic, pred, true, valid):
        return logic.and_("and", pred, true).total(valid)

    def statistics(self, logic, pred, true, valid):
        return {"hit": self.hit(logic, pred, true, valid), "true": true.total(valid)}

    def class_scores(self, sums):
        return ratio(sums["hit"], sums["true"])


def with_hit(hit):
    return type("Mistaken", (Recall,), {"hit": lambda self, *given: hit(*given)})()


MISTAKES = {
    "a misspelt operation": (lambda logic, p, t, v: logic.and_("adn", p, t).total(v), "'adn' is not declared: .* and"),
    "an undeclared union": (lambda logic, p, t, v: logic.or_("or", p, t).total(v), "'or' is not declared"),
    "an undeclared xor": (lambda logic, p, t, v: logic.xor("edge", p, t).total(v), "'edge_(or|and)' is not declared"),
    "a branch on a sum": (lambda logic, p, t, v: p.total(v) if t.total(v) else t.total(v), "branch on a sum"),
    "a comparison of sums": (lambda logic, p, t, v: p.total(v) if p.total(v) == 0 else t.total(v), "compare a sum"),
    "an order of sums": (lambda logic, p, t, v: p.total(v) if p.total(v) > 0 else t.total(v), "'>' not supported"),
    "a division": (lambda logic, p, t, v: p.total(v) / t.total(v), "division, belongs in class_scores"),
    "a product": (lambda logic, p, t, v: p.total(v) * t.total(v), "belongs in class_scores"),
    "a maximum of sums": (lambda logic, p, t, v: torch.maximum(p.total(v), t.total(v)), "belongs in class_scores"),
    "a maximum of maps": (lambda logic, p, t, v: torch.maximum(p, t).total(v), r"use the tensor m\.dense\(\)"),
    "arithmetic of maps": (lambda logic, p, t, v: (1 - t).total(v), r"use the tensor m\.dense\(\)"),
    "a factor of a map": (lambda logic, p, t, v: (2 * t).total(v), r"use the tensor m\.dense\(\)"),
    "an order of maps": (lambda logic, p, t, v: (t < 1).total(v), r"use the tensor m\.dense\(\)"),
    "an index": (lambda logic, p, t, v: t[0].total(v), r"use the tensor m\.dense\(\)"),
    "a branch on a map": (lambda logic, p, t, v: t.total(v) if p else p.total(v), "branch on a map"),
    "a comparison of maps": (lambda logic, p, t, v: t.total(v) if p == t else p.total(v), "compare maps"),
    "a method of tensors": (lambda logic, p, t, v: t.sum(), r"use the tensor m\.dense\(\)"),
    "an even window": (lambda logic, p, t, v: t.dilate(4).total(v), "odd number of pixels, got 4"),
    "a mask with classes": (lambda logic, p, t, v: p.total(v & t.dense()), "a mask must be a bool tensor"),
    "a map within classes": (lambda logic, p, t, v: p.within(t.dense()).total(v), "a mask must be a bool tensor"),
    "a soft mask": (lambda logic, p, t, v: p.total(v.float()), "a mask must be a bool tensor"),
    "a map for a mask": (lambda logic, p, t, v: p.total(t), "a mask must be a bool tensor .* got LabelMap"),
    "a tensor for a sum": (lambda logic, p, t, v: t.dense().sum(dim=(0, 2, 3)), "'hit' must be a sum, got Tensor"),
}


@pytest.mark.parametrize(("hit", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_clear_error_in_loss_and_metric(hit, message):
    formula, loss = with_hit(hit), SurrogateLoss(with_hit(hit))
    with pytest.raises(InputError, match=message):
        loss(*laws.batch())
    with pytest.raises(InputError, match=message):
        FormulaMetric(formula, 3)


def test_and_of_a_soft_map_outside_of_the_logic_is_an_error():
    with pytest.raises(InputError, match=r"metric 'recall': .* operations of the logic"):
        SurrogateLoss(with_hit(lambda logic, p, t, v: (p & t).total(v)))(*laws.batch())


@pytest.mark.parametrize("returned", [None, [], 0.5])
def test_statistics_that_are_no_dict_are_an_error(returned):
    kind = type("Mistaken", (Recall,), {"statistics": lambda self, *given: returned})
    for use in (lambda: SurrogateLoss(kind())(*laws.batch()), lambda: FormulaMetric(kind(), 3)):
        with pytest.raises(InputError, match="statistics must return a dict of sums"):
            use()


def test_a_statistic_with_a_name_of_torchmetrics_is_an_error():
    class Named(Recall):
        def statistics(self, logic, pred, true, valid):
            return {**super().statistics(logic, pred, true, valid), "update": true.total(valid)}

    with pytest.raises(InputError, match="torchmetrics uses the name 'update': rename the statistic"):
        FormulaMetric(Named(), 3)


def test_a_formula_may_change_the_resolution():
    def coarse(logic, pred, true, valid):
        half = torch.nn.functional.avg_pool2d(pred.dense().float(), 2)
        return DenseMap(half).total(torch.ones(len(half), 1, *half.shape[2:], dtype=torch.bool))

    logits, labels = laws.batch((2, 8, 8), ignored=0)
    assert SurrogateLoss(with_hit(coarse))(logits, labels).isfinite()
    metric = FormulaMetric(with_hit(coarse), 3)
    metric.update(logits, labels)
    torch.testing.assert_close(metric.hit, torch.nn.functional.one_hot(logits.argmax(1), 3).sum((0, 1, 2)) / 4)


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ("and", r"operations must be a tuple of names, as \('and',\), got 'and'"),
        (None, "operations must be a tuple of names, .* got None"),
        (("and", 1), "operations must be a tuple of names"),
        (("and.or",), "operation 'and.or' needs a name of its own, without a dot"),
        (("",), "operation '' needs a name of its own"),
        (("and", "and"), "operation 'and' needs a name of its own"),
    ],
)
def test_operations_that_theta_cannot_have_are_an_error(operations, message):
    formula = type("Mistaken", (Recall,), {"operations": operations})()
    for use in (SurrogateLoss, lambda f: FormulaMetric(f, 3), lambda f: ThetaCard(f, "bezier", {})):
        with pytest.raises(InputError, match=f"^metric 'recall': {message}"):
            use(formula)
    with pytest.raises(InputError, match=f"^metric 'recall': {message}"):
        weighted_sum(["miou", formula])


def test_metrics_that_sum_differently_are_not_computed_together():
    """Formulas share sums only if one changes nothing but the score of the other."""

    class Region(MeanIoU):
        name = "region_iou"

        def region(self, true, valid):
            return valid

        def statistics(self, logic, pred, true, valid):
            return super().statistics(logic, pred, true, self.region(true, valid))

    class Edge(Region):
        name = "edge_iou"

        def region(self, true, valid):
            return valid & (true ^ true.erode(3, valid)).any_class()

    try:
        assert [kind.summed_by() for kind in (Region, Edge, FrequencyWeightedIoU)] == [Region, Edge, MeanIoU]
        logits, labels = laws.batch()
        labels[:, :, :7] = 1
        metrics = segmentation_metrics(3, metrics=[Region(), Edge()])
        metrics.update(logits, labels)
        for name, kind in {"region_iou": Region, "edge_iou": Edge}.items():
            expected = laws.exact_score(kind(), logits.argmax(1), labels, 3)
            torch.testing.assert_close(metrics.compute()[name], expected)
    finally:
        for name in ("region_iou", "edge_iou"):
            Formula.members.pop(name, None)


def test_statistics_without_true_are_an_error():
    class Nameless(Recall):
        def statistics(self, logic, pred, true, valid):
            return {"hit": self.hit(logic, pred, true, valid)}

    with pytest.raises(InputError, match="statistics must hold 'true'"):
        FormulaMetric(Nameless(), 3)


def test_the_formula_without_a_mistake_is_right():
    logits, labels = laws.batch()
    loss = SurrogateLoss(Recall())(logits, labels)
    torch.testing.assert_close(loss, SurrogateLoss("macc")(logits, labels))


def test_a_formula_may_lay_its_prediction_out_for_some_batches_only():
    """Whether it does is noted with every batch, not only with the first."""

    class Erratic(MeanIoU):
        def statistics(self, logic, pred, true, valid):
            sums = super().statistics(logic, pred, true, valid)
            if true.shape[-1] > 9:
                sums["union"] = sums["union"] + 0 * pred.dilate(3).total(valid)
            return sums

    logits, labels = laws.batch((2, 9, 11))
    loss = SurrogateLoss(Erratic())
    expected = laws.value_and_gradient(SurrogateLoss("miou"), logits, labels)
    torch.testing.assert_close(laws.value_and_gradient(loss, logits, labels), expected)
