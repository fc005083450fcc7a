"""A curve family without quadratic pieces, given by its values alone."""

import pytest
import torch
from helpers.laws import batch, value_and_gradient
from torch.testing import assert_close

from autosegloss import SurrogateLoss
from autosegloss.curves import CurveFamily


class Power(CurveFamily):
    """g(y) = y^(1 + K): a curve that is not made of quadratic pieces."""

    num_parameters = 1

    def identity(self):
        return torch.zeros(1, dtype=torch.float64)

    def control_points(self, theta):
        return torch.stack([torch.zeros_like(theta), theta], dim=-1)

    def evaluate(self, points, y):
        return y ** (1 + points[0, 1].item())


@pytest.mark.parametrize("formula", ["miou", "bf1"])
def test_a_family_may_be_known_by_its_values_alone(formula):
    logits, labels = batch()
    straight = value_and_gradient(SurrogateLoss(formula, curve="identity"), logits, labels)
    operations = len(SurrogateLoss(formula).formula.operations)
    results = [
        value_and_gradient(SurrogateLoss(formula, theta=[bend] * operations, curve=Power()), logits, labels)
        for bend in (0, 1)
    ]
    assert_close(results[0], straight, rtol=1e-4, atol=1e-6)
    loss = SurrogateLoss(formula, theta=[1] * operations, curve=Power())
    assert_close(results[1][0], loss(logits.double(), labels).float())
    assert torch.autograd.gradcheck(
        lambda x: loss(x, labels), logits.double().requires_grad_(), eps=1e-6, atol=1e-5, fast_mode=True
    )


def test_a_family_that_is_known_by_nothing_says_so():
    class Empty(Power):
        evaluate = CurveFamily.evaluate

    with pytest.raises(TypeError, match="must have `quadratic` or `evaluate`"):
        SurrogateLoss("miou", theta=[0, 0], curve=Empty())(*batch())
