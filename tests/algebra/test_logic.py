"""AND, OR and XOR in two readings."""

import numpy as np
import pytest
import torch
from helpers.members import CURVES
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from autosegloss import InputError
from autosegloss.algebra import DenseMap, ExactLogic, SoftLogic
from autosegloss.curves import Bezier, Curve

FALSE_TRUE = (
    torch.tensor([False, False, True, True]).view(1, 1, 2, 2),
    torch.tensor([False, True, False, True]).view(1, 1, 2, 2),
)
TABLES = {"and_": [0, 0, 0, 1], "or_": [0, 1, 1, 1], "xor": [0, 1, 1, 0]}
NAMES = ["it", "it_and", "it_or"]


def soft_logic(names, curve=None, seed=0, operands=1):
    """Soft logic with a random curve for each operation (and operand)."""
    curve, rng = curve or Bezier(), np.random.default_rng(seed)
    thetas = {name: torch.as_tensor(rng.random((operands, curve.num_parameters))) for name in names}
    return SoftLogic(names, {name: [Curve(curve, p) for p in curve.control_points(t)] for name, t in thetas.items()})


def apply(logic, operation, a, b, name="it"):
    """The operation on two tensors (N, C, H, W)."""
    return getattr(logic, operation)(name, DenseMap(a), DenseMap(b)).dense()


@pytest.fixture
def pair():
    """Two soft maps (1, 2, 5, 5) in [0, 1]."""
    return torch.rand(2, 1, 2, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("operation", TABLES)
def test_exact_logic_is_the_truth_table(operation):
    result = apply(ExactLogic(NAMES), operation, *FALSE_TRUE)
    assert result.dtype == torch.bool
    assert result.flatten().int().tolist() == TABLES[operation]


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
@pytest.mark.parametrize("operands", [1, 2])
def test_soft_logic_keeps_the_truth_tables_for_crisp_maps_of_any_type(curve, operands):
    logic = soft_logic(NAMES, curve, operands=operands)
    a, b = FALSE_TRUE
    for left, right in ((a.double(), b.double()), (a.double(), b), (a, b.double()), (a, b)):
        for operation, truth in TABLES.items():
            result = apply(logic, operation, left, right)
            assert_close(result.double().flatten(), torch.tensor(truth).double(), rtol=0, atol=1e-6)


def test_soft_logic_without_a_curve_is_the_product_rule(pair):
    a, b = pair
    logic = SoftLogic(NAMES, {})
    assert_close(apply(logic, "and_", a, b), a * b)
    assert_close(apply(logic, "or_", a, b), a + b - a * b)
    assert_close(apply(logic, "xor", a, b), a + b - 2 * a * b)


def test_every_operation_has_the_curve_of_its_name(pair):
    a, b = pair
    logic = soft_logic(NAMES)
    g = {name: curves[0] for name, curves in logic.curves.items()}
    assert_close(apply(logic, "and_", a, b), g["it"](a) * g["it"](b))
    assert_close(apply(logic, "or_", a, b), g["it"](a) + g["it"](b) - g["it"](a) * g["it"](b))
    bent = g["it_or"](a) + g["it_or"](b) - g["it_or"](a) * g["it_or"](b) - g["it_and"](a) * g["it_and"](b)
    assert_close(apply(logic, "xor", a, b), bent.clamp_min(0))
    assert (bent < 0).any()  # the clamp is needed


def test_two_curves_are_one_for_each_operand_in_order(pair):
    a, b = pair
    logic = soft_logic(["it"], operands=2)
    left, right = logic.curves["it"]
    assert_close(apply(logic, "and_", a, b), left(a) * right(b))
    assert not torch.allclose(apply(logic, "and_", b, a), left(a) * right(b))


@pytest.mark.parametrize("logic", [ExactLogic(["and"]), SoftLogic(["and"], {})], ids=["exact", "soft"])
@pytest.mark.parametrize("operation", TABLES)
def test_an_operation_that_is_not_declared_is_an_error(logic, operation):
    with pytest.raises(InputError, match=r"operation 'adn(_or)?' is not declared: .* are and$"):
        apply(logic, operation, *FALSE_TRUE, name="adn")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 9999))
def test_soft_results_stay_between_0_and_1_and_and_is_below_or(seed):
    a, b = torch.rand(2, 1, 1, 5, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    logic = soft_logic(NAMES, seed=seed)
    both, either, one = (apply(logic, operation, a, b) for operation in TABLES)
    for result in (both, either, one):
        assert (result >= 0).all()
        assert (result <= 1 + 1e-9).all()
    assert (both <= either + 1e-9).all()
