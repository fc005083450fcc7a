"""The contract of a formula, over every metric in conf/metric and every curve family."""

import numpy as np
import pytest
import torch
from helpers import laws
from helpers.members import (
    METRICS,
    every_metric,
    every_pair,
    every_pair_and_ablation,
    every_score,
    every_scored_pair,
    numbers_of,
)
from helpers.references import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.testing import assert_close
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_jaccard_index

from autosegloss import theta as thetas
from autosegloss.curves import Bezier
from autosegloss.formulas import PAPER, BoundaryF1, BoundaryIoU, Formula, WeightedSum, weighted_sum
from autosegloss.metrics import FormulaMetric


def draw_theta(data, formula, curve):
    return data.draw(arrays(np.float64, thetas.size(formula, curve), elements=numbers_of(curve)))


def test_every_registered_formula_has_a_config():
    registered = {kind for kind in Formula.members.values() if kind.__module__.startswith("autosegloss.")}
    assert registered == {type(formula) for formula in METRICS.values()} - {WeightedSum}
    assert all(formula.name == name for name, formula in METRICS.items())


@every_pair
@settings(max_examples=7, deadline=None)
@given(data=st.data(), scene=laws.scenes())
def test_soft_reading_of_one_hot_maps_is_exact(formula, curve, data, scene):
    laws.soft_equals_exact_on_one_hot(formula, curve, draw_theta(data, formula, curve), scene)


def with_extent(formula, extent):
    """The formula with its band or tolerance set to `extent` pixels, if it has one."""
    if isinstance(formula, WeightedSum):
        return weighted_sum([with_extent(term, extent) for term in formula.terms])
    boundary = next((name for name in ("width", "tolerance") if hasattr(formula, name)), None)
    return type(formula)(**{boundary: extent}) if boundary else formula


@every_score
@settings(max_examples=25, deadline=None)
@given(scene=laws.scenes(), extent=st.integers(1, 3))
def test_exact_reading_is_the_definition(formula, scene, extent):
    labels, preds, num_classes = scene
    formula = with_extent(formula, extent)
    labels, preds = (x.flatten(1, -2) if x.ndim == 4 else x for x in (labels, preds))
    expected = reference(formula.name, preds.numpy(), labels.numpy(), num_classes, extent=extent)
    score = laws.exact_score(formula, preds, labels, num_classes)
    assert_close(score, torch.tensor(expected, dtype=torch.float32), equal_nan=True)


@settings(max_examples=25, deadline=None)
@given(scene=laws.scenes())
def test_exact_reading_is_that_of_torchmetrics_where_the_rule_is_the_same(scene):
    labels, preds, num_classes = scene
    if not set(range(num_classes)) <= set(labels.unique().tolist()):
        return  # torchmetrics has another rule for absent classes
    common = {"num_classes": num_classes, "ignore_index": laws.IGNORE}
    expected = {
        "miou": multiclass_jaccard_index(preds, labels, average="macro", **common),
        "fwiou": multiclass_jaccard_index(preds, labels, average="weighted", **common),
        "macc": multiclass_accuracy(preds, labels, average="macro", **common),
        "gacc": multiclass_accuracy(preds, labels, average="micro", **common),
    }
    for name, value in expected.items():
        assert_close(laws.exact_score(METRICS[name], preds, labels, num_classes), value)


@every_metric
@settings(max_examples=25, deadline=None)
@given(scene=laws.scenes())
def test_statistics_are_additive(formula, scene):
    laws.additive(formula, scene)


@every_scored_pair
@settings(max_examples=4, deadline=None)
@given(data=st.data(), scene=laws.scenes())
def test_scores_are_bounded_and_perfect_is_one(formula, curve, data, scene):
    laws.bounded_and_perfect(formula, curve, draw_theta(data, formula, curve), scene)


@every_metric
@settings(max_examples=12, deadline=None)
@given(scene=laws.scenes())
def test_class_names_and_mirrors_change_nothing(formula, scene):
    laws.symmetric(formula, scene)


@every_metric
@settings(max_examples=8, deadline=None)
@given(scene=laws.scenes())
def test_ignored_pixels_change_nothing(formula, scene):
    laws.blind_to_ignored(formula, scene)


@every_pair_and_ablation
def test_gradient_is_that_of_finite_differences(formula, curve):
    theta = np.random.default_rng(1).uniform(0.15, 0.85, thetas.size(formula, curve))
    laws.gradient_is_right(formula, curve, theta)


@every_score
def test_declared_operations_are_those_used(formula):
    laws.declares_what_it_uses(formula)


def test_the_paper_has_one_curve_per_operation():
    sizes = {name: thetas.size(METRICS[name], Bezier()) for name in PAPER}
    assert sizes == {"gacc": 6, "macc": 6, "miou": 12, "fwiou": 12, "biou": 12, "bf1": 24}


def test_band_and_tolerance_may_be_fractions_of_the_diagonal():
    labels = torch.zeros(1, 30, 40, dtype=torch.long)
    labels[..., 20:] = 1
    preds = labels.roll(2, dims=-1)
    for by_fraction, by_pixels in ((BoundaryIoU(0.1), BoundaryIoU(5)), (BoundaryF1(0.02), BoundaryF1(1))):
        assert_close(*(laws.exact_score(formula, preds, labels, 2) for formula in (by_fraction, by_pixels)))


@pytest.mark.parametrize("extent", [0, -1, 2.5])
def test_an_extent_that_means_nothing_is_refused(extent):
    with pytest.raises(ValueError, match=r"width must be .* got"):
        BoundaryIoU(width=extent)


def test_the_image_border_and_ignored_regions_are_no_boundary():
    labels = torch.zeros(1, 12, 12, dtype=torch.long)
    labels[..., 6:] = 255
    metric = FormulaMetric("bf1", num_classes=2)
    metric.update(torch.zeros_like(labels).clamp(max=1), labels)
    assert metric.true.sum() == 0
    assert metric.pred.sum() == 0
