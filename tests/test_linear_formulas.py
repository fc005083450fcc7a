"""Formulas that are linear in sums of curves are fused, however they are written."""

from dataclasses import dataclass

import pytest
import torch
from helpers import laws
from torch.testing import assert_close

from autosegloss import SurrogateLoss
from autosegloss.algebra import ExactLogic, Prediction
from autosegloss.algebra.inputs import label_map
from autosegloss.algebra.truth import Truth
from autosegloss.formulas import Formula, ratio


@dataclass(frozen=True)
class Tversky(Formula):
    """Tversky = 1/C sum_c TP / (TP + alpha FP + beta FN)."""

    alpha: float = 0.3
    beta: float = 0.7

    @property
    def name(self):
        return "tversky"

    @property
    def operations(self):
        return ("and",)

    def statistics(self, logic, pred, true, valid):
        hit = logic.and_("and", pred, true).total(valid)
        errors = self.alpha * (pred.total(valid) - hit) + self.beta * (true.total(valid) - hit)
        return {"hit": hit, "rest": hit + errors, "true": true.total(valid)}

    def class_scores(self, sums):
        return ratio(sums["hit"], torch.maximum(sums["rest"], sums["hit"]))


@dataclass(frozen=True)
class FBeta(Formula):
    """F = 1/C sum_c (1 + beta^2) TP / ((1 + beta^2) TP + beta^2 FN + FP), of AND and OR."""

    beta: float = 2.0

    @property
    def name(self):
        return "fbeta"

    @property
    def operations(self):
        return ("and", "or")

    def statistics(self, logic, pred, true, valid):
        hit, either = logic.and_("and", pred, true).total(valid), logic.or_("or", pred, true).total(valid)
        return {
            "hit": hit,
            "all": either + self.beta**2 * true.total(valid) - (true.total(valid) - hit),
            "true": true.total(valid),
        }

    def class_scores(self, sums):
        return ratio((1 + self.beta**2) * sums["hit"], torch.maximum(sums["all"], (1 + self.beta**2) * sums["hit"]))


FORMULAS = [Tversky(), Tversky(0.5, 0.5), FBeta(), FBeta(1)]
every_formula = pytest.mark.parametrize("formula", FORMULAS, ids=str)


def counts(preds, labels, c):
    hit, pred, true = (preds == c) & (labels == c), preds == c, labels == c
    return hit.sum().item(), (pred & ~hit).sum().item(), (true & ~hit).sum().item()


DEFINITIONS = {
    Tversky: lambda f, tp, fp, fn: tp / (tp + f.alpha * fp + f.beta * fn),
    FBeta: lambda f, tp, fp, fn: (1 + f.beta**2) * tp / ((1 + f.beta**2) * tp + f.beta**2 * fn + fp),
}


@every_formula
def test_the_metric_is_the_definition(formula):
    logits, labels = laws.batch(ignored=0)
    preds = logits.argmax(1)
    scores = [DEFINITIONS[type(formula)](formula, *counts(preds, labels, c)) for c in range(3)]
    expected = torch.tensor(sum(scores) / 3, dtype=torch.float32)
    assert_close(laws.exact_score(formula, preds, labels, 3), expected)


@every_formula
def test_the_prediction_is_not_laid_out(formula):
    logits, labels = laws.batch()
    true = label_map(labels, 3, laws.IGNORE)
    prediction = Prediction(logits, Truth(true, true.mask))
    formula.plan(SurrogateLoss(formula).logic(), prediction, true, true.mask)
    assert not prediction.laid_out


@every_formula
def test_value_and_gradient_are_those_of_dense_maps(formula):
    logits, labels = laws.batch(ignored=0.2)
    theta = torch.rand(6 * len(formula.operations), generator=torch.Generator().manual_seed(0))
    loss = SurrogateLoss(formula, theta=theta)
    fast = laws.value_and_gradient(loss, logits.double(), labels)
    dense = laws.value_and_gradient(
        lambda x, y: 1 - formula.score(loss.dense_statistics(x, y), "all"), logits.double(), labels
    )
    assert_close(fast, dense)


@every_formula
def test_it_obeys_the_laws(formula):
    logits, labels = laws.batch(ignored=0.2)
    scene = labels, logits.argmax(1), 3
    laws.blind_to_ignored(formula, scene)
    laws.declares_what_it_uses(formula)
    theta = [0.3] * (6 * len(formula.operations))
    soft = laws.statistics(formula, SurrogateLoss(formula, theta=theta).logic(), *scene[1::-1], 3)
    exact = laws.statistics(formula, ExactLogic(formula.operations), *scene[1::-1], 3)
    for name, value in exact.items():
        assert_close(soft[name].double(), value.double(), rtol=1e-5, atol=1e-4)
