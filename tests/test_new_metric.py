"""The test of the layout: a new metric is one short class, and everything follows from it."""

import inspect
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from helpers import laws
from helpers.members import numbers_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.testing import assert_close

from autosegloss import InputError, SurrogateLoss, ThetaCard
from autosegloss import theta as thetas
from autosegloss.curves import Bezier
from autosegloss.formulas import Formula, ratio, resolve
from autosegloss.metrics import FormulaMetric, segmentation_metrics


def define():
    @dataclass(frozen=True)
    class Overlap(Formula):
        """Overlap = 1/C sum_c |pred_c AND true_c| / min(|pred_c|, |true_c|)."""

        name: ClassVar[str] = "overlap"
        operations: ClassVar[tuple[str, ...]] = ("and",)

        def statistics(self, logic, pred, true, valid):
            both = logic.and_("and", pred, true).total(valid)
            return {"both": both, "pred": pred.total(valid), "true": true.total(valid)}

        def class_scores(self, sums):
            # A bent AND may exceed the prediction, which is never smaller than its part in the truth: so Overlap <= 1.
            pred = torch.maximum(sums["pred"], sums["both"])
            return ratio(sums["both"], torch.minimum(pred, sums["true"]))

        def defined(self, sums):
            return torch.minimum(sums["pred"], sums["true"]) > 0

    return Overlap


@pytest.fixture(scope="module")
def formula():
    yield define()()
    del Formula.members["overlap"]


def property_test(**given_by):
    shared = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    return lambda test: shared(given(**given_by)(test))


def draw_theta(data, formula, curve):
    return data.draw(arrays(np.float64, thetas.size(formula, curve), elements=numbers_of(curve)))


# The laws


@property_test(data=st.data(), scene=laws.scenes())
def test_soft_reading_of_one_hot_maps_is_exact(formula, data, scene):
    laws.soft_equals_exact_on_one_hot(formula, Bezier(), draw_theta(data, formula, Bezier()), scene)


@property_test(data=st.data(), scene=laws.scenes())
def test_scores_are_bounded_and_perfect_is_one(formula, data, scene):
    laws.bounded_and_perfect(formula, Bezier(), draw_theta(data, formula, Bezier()), scene)


@pytest.mark.parametrize("law", [laws.additive, laws.symmetric, laws.blind_to_ignored], ids=lambda law: law.__name__)
@property_test(scene=laws.scenes())
def test_it_obeys(law, formula, scene):
    law(formula, scene)


def test_a_hesitant_right_prediction_scores_at_most_1(formula):
    labels = torch.zeros(1, 6, 7, dtype=torch.long)
    logits = torch.tensor([1.5, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 6, 7)
    steep = [0.01, 0.99] * 3  # g(p) is about 1, p is 0.7
    assert 0 <= SurrogateLoss(formula, theta=steep, classes="present")(logits, labels) <= 1


def test_its_gradient_is_right(formula):
    laws.gradient_is_right(formula, Bezier(), np.random.default_rng(1).uniform(0.15, 0.85, 6))


def test_it_declares_what_it_uses(formula):
    laws.declares_what_it_uses(formula)


# What the class gives


def test_it_is_short(formula):
    assert len(inspect.getsource(type(formula)).splitlines()) <= 30


@property_test(scene=laws.scenes())
def test_the_metric_is_the_overlap(formula, scene):
    labels, preds, num_classes = scene
    valid = labels != laws.IGNORE
    scores = []
    for c in range(num_classes):
        p, t = (preds == c) & valid, (labels == c) & valid
        if p.any() and t.any():
            scores.append((p & t).sum() / min(p.sum(), t.sum()))
    expected = torch.stack(scores).mean() if scores else torch.tensor(torch.nan)
    for by_object_or_name in (formula, "overlap"):
        metric = FormulaMetric(by_object_or_name, num_classes)
        metric.update(preds, labels)
        assert_close(metric.compute(), expected, equal_nan=True)


def test_the_naive_loss_is_the_soft_overlap(formula):
    logits = torch.randn(2, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(3, (2, 6, 7), generator=torch.Generator().manual_seed(1))
    p, t = logits.softmax(1), torch.nn.functional.one_hot(labels, 3).movedim(-1, 1)
    overlap = (p * t).sum((0, 2, 3)) / torch.minimum(p.sum((0, 2, 3)), t.sum((0, 2, 3)))
    assert_close(SurrogateLoss("overlap")(logits, labels), 1 - overlap.mean(), rtol=0, atol=1e-5)
    value, gradient = laws.value_and_gradient(SurrogateLoss(formula, theta=torch.rand(6)), logits, labels)
    assert 0 < value < 1
    assert gradient.isfinite().all()


def test_theta_cards_and_collections_know_it(formula, tmp_path):
    assert thetas.size(formula, Bezier()) == 6
    assert tuple(thetas.split([0.5] * 6, formula, Bezier())) == ("and",)
    ThetaCard(formula, Bezier(), thetas.split([0.3] * 6, formula, Bezier()), score=0.9).save(tmp_path / "overlap.yaml")
    assert SurrogateLoss.from_pretrained(tmp_path / "overlap.yaml").formula == formula
    assert set(segmentation_metrics(3, metrics=["miou", "overlap"]).keys()) == {"miou", "overlap"}
    with pytest.raises(InputError, match="unknown metric 'overlop': choose one of overlap, "):
        resolve("overlop")
