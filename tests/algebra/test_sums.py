"""Sums of a formula: what can be done with them, and the errors for what cannot."""

import operator

import pytest
import torch
from torch.testing import assert_close

from autosegloss.algebra import CurveSum, Sum
from autosegloss.curves import Bezier, Curve
from autosegloss.formulas.formula import values

CURVE = Curve(Bezier(), Bezier().control_points(Bezier().identity()))


def test_a_sum_is_linear_in_its_terms():
    a, b = CurveSum(CURVE, None, at_labels=False), CurveSum(CURVE, None, at_labels=True)
    known = {a: torch.tensor([1.0, 2.0]), b: torch.tensor([10.0, 20.0])}
    count = Sum(((1, torch.tensor([3, 4])),))
    total = 0.5 * Sum(((1, a),)) - Sum(((1, b),)) * 2 + -count
    assert_close(values({"it": total}, known)["it"], torch.tensor([-22.5, -43.0]))
    assert_close(values({"it": sum([count, count, count])})["it"], torch.tensor([9, 12]))


def test_counts_are_exact_unless_scaled_by_a_fraction():
    count = Sum(((1, torch.tensor([2**53 + 1])),))
    assert values({"it": 3 * count})["it"].tolist() == [3 * (2**53 + 1)]
    assert values({"it": 0.3 * Sum(((1, torch.tensor([2**30 + 1])),))})["it"].tolist() == [0.3 * (2**30 + 1)]


@pytest.mark.parametrize(
    "use", [bool, lambda s: s > 0, lambda s: s == 0, lambda s: s / s, lambda s: s * s, lambda s: s + 1, operator.invert]
)
def test_whatever_is_not_linear_is_a_type_error(use):
    with pytest.raises(TypeError):
        use(Sum(((1, torch.tensor([3, 4])),)))
