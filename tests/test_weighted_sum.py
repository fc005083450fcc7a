"""Sums of metrics: terms, weights, theta and cards; test_formulas.py has the contract of every metric."""

import pytest
import torch
from helpers import laws
from torch.testing import assert_close

from autosegloss import InputError, SurrogateLoss, ThetaCard
from autosegloss import theta as thetas
from autosegloss.algebra import ExactLogic
from autosegloss.curves import Bezier
from autosegloss.formulas import BoundaryF1, BoundaryIoU, MeanIoU, resolve, weighted_sum
from autosegloss.metrics import FormulaMetric, segmentation_metrics

WIDE = weighted_sum([MeanIoU(), BoundaryIoU(width=3)], weights=[3, 1])


def score(formula, preds, labels):
    return laws.exact_score(formula, preds, labels, 3)


def scene():
    logits, labels = laws.batch()
    return logits.argmax(1), labels


def test_the_score_is_the_weighted_mean_of_the_scores():
    expected = (3 * score("miou", *scene()) + score(BoundaryIoU(width=3), *scene())) / 4
    assert_close(score(WIDE, *scene()), expected)


def test_without_weights_all_weigh_the_same():
    expected = sum(score(name, *scene()) for name in ("gacc", "miou", "bf1")) / 3
    assert_close(score("gacc+miou+bf1", *scene()), expected)


def test_the_loss_is_the_weighted_mean_of_the_losses_each_with_its_theta():
    logits, labels = laws.batch()
    generator = torch.Generator().manual_seed(0)
    miou, biou = (torch.rand(12, generator=generator) for _ in range(2))
    together = SurrogateLoss(WIDE, theta=torch.cat([miou, biou]))(logits, labels)
    apart = [SurrogateLoss("miou", miou)(logits, labels), SurrogateLoss(BoundaryIoU(width=3), biou)(logits, labels)]
    assert_close(together, (3 * apart[0] + apart[1]) / 4)


def test_a_term_with_nothing_to_score_has_no_weight():
    labels = torch.zeros(1, 6, 6, dtype=torch.long)  # one class alone: no boundary
    preds = labels.clone()
    preds[:, :3] = 1
    assert score("bf1", preds, labels).isnan()
    assert_close(score("miou+bf1", preds, labels), score("miou", preds, labels))
    logits = torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    assert_close(SurrogateLoss("miou+bf1")(logits, labels), SurrogateLoss("miou")(logits, labels))


def test_class_scores_are_weighted_means_too():
    preds, labels = scene()
    both, miou, biou = (
        laws.statistics(formula, ExactLogic(formula.operations), preds, labels, 3) for formula in (WIDE, *WIDE.terms)
    )
    expected = (3 * WIDE.terms[0].class_scores(miou) + WIDE.terms[1].class_scores(biou)) / 4
    assert_close(WIDE.class_scores(both), expected)
    metric = FormulaMetric(WIDE, 3, per_class=True)
    metric.update(preds, labels)
    assert_close(metric.compute(), expected.float())


def test_a_class_that_one_term_defines_has_its_score():
    labels = torch.zeros(1, 6, 6, dtype=torch.long)
    preds = labels.clone()
    preds[:, :3] = 1
    metric = FormulaMetric("miou+bf1", 3, per_class=True)
    metric.update(preds, labels)
    assert_close(metric.compute(), torch.tensor([0.5, 0.0, torch.nan]), equal_nan=True)


def test_theta_has_the_curves_of_all_terms_in_their_order():
    formula = resolve("bf1+miou")
    assert formula.operations[:2] == ("bf1_boundary_and", "bf1_boundary_or")
    assert formula.operations[4:] == ("miou_and", "miou_or")
    assert thetas.size(formula, Bezier()) == 36


def test_a_theta_card_keeps_terms_options_and_weights(tmp_path):
    theta = thetas.split(torch.rand(24), WIDE, Bezier())
    ThetaCard(WIDE, Bezier(), theta).save(tmp_path / "theta.yaml")
    card = ThetaCard.load(tmp_path / "theta.yaml")
    assert card.metric == WIDE
    assert card.metric.name == "miou+biou"
    logits, labels = laws.batch()
    assert_close(
        SurrogateLoss.from_pretrained(tmp_path / "theta.yaml")(logits, labels),
        SurrogateLoss(WIDE, theta)(logits, labels),
    )


def test_it_stands_beside_its_terms_in_a_collection():
    metrics = segmentation_metrics(3, metrics=["miou", "biou", WIDE, weighted_sum([MeanIoU(), BoundaryF1()])])
    metrics.update(*scene())
    assert {*metrics.compute()} == {"miou", "biou", "miou+biou", "miou+bf1"}


@pytest.mark.parametrize(
    ("terms", "weights", "message"),
    [
        (["miou"], None, "takes two different ones or more, got miou"),
        ([], None, "takes two different ones or more, got none"),
        (["miou", "miou"], None, "takes two different ones or more, got miou more than once"),
        (["miou", "biuo"], None, "unknown metric 'biuo': choose one of biou"),
        (["miou", "biou"], [1], "metric.weights: expected 2 numbers above 0"),
        (["miou", "biou"], [1, 0], "metric.weights: expected 2 numbers above 0"),
        (["miou", "biou"], [1, float("nan")], "metric.weights: expected 2 numbers above 0"),
    ],
)
def test_terms_and_weights_that_make_no_sum(terms, weights, message):
    with pytest.raises(InputError, match=message):
        weighted_sum(terms, weights)


def test_a_name_that_is_no_sum():
    with pytest.raises(InputError, match="unknown metric ''"):
        SurrogateLoss("miou+")
